"""CONTRACT.md, "Models and providers", row by row."""

from pathlib import Path

import pytest
from tests.server.bucket_client import ask
from tests.servers.aimock import KEY
from tests.servers.background import in_background
from tests.servers.contract_peers import Peers
from tests.servers.http import raw_server, response
from tests.servers.mediary import MediaryServer

from mediary import __version__

B = "/backend-api/v2"
MODEL = {"id", "label", "default", "vision", "audio", "video", "image", "count", "tags"}
PROVIDER = {
    "name", "label", "parent", "image", "audio", "video", "vision", "auth", "login_url", "live", "active_by_default",
    "nodriver", "hf_space",
}  # fmt: skip


def test_models(server: MediaryServer) -> None:
    listed = server.get_json(f"{B}/models")

    assert {"Local", "Aimock", "Says500", "Silent"} <= set(listed)
    assert {"passages", "picture", "speech"} <= set(listed["Local"])
    assert listed["Says400"] == ["m"]
    assert all(isinstance(model, str) for models in listed.values() for model in models)


def test_models_of_a_provider_that_fails_are_an_empty_list(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = '[providers.Gone]\nwire = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
    with MediaryServer(tmp_path_factory.mktemp("gone") / "data", settings=settings) as server:
        assert server.get_json(f"{B}/models")["Gone"] == []


def test_models_of_one_provider(server: MediaryServer) -> None:
    models = server.get_json(f"{B}/models/Local")

    assert all(set(model) >= MODEL for model in models)
    assert [model["id"] for model in models if model["default"]] == ["passages"]
    assert [model["id"] for model in models if model["image"] is True] == ["picture"]


@pytest.mark.parametrize("dash", "-_")
def test_models_take_the_key_from_a_header(server: MediaryServer, dash: str) -> None:
    headers = {f"x{dash}api{dash}key": "wrong"}
    with server.open(f"{B}/models/Aimock", headers=headers) as answer:
        assert answer.status == 401
    assert server.get_json(f"{B}/models/Aimock")


@pytest.mark.parametrize("dash", "-_")
def test_models_of_custom_take_the_address_from_a_header(server: MediaryServer, peers: Peers, dash: str) -> None:
    headers = {f"x{dash}api{dash}base": peers.aimock, f"x{dash}api{dash}key": KEY}
    listed = server.get_json(f"{B}/models/Custom", headers=headers)

    assert "gpt-4o" in [model["id"] for model in listed]
    with server.open(f"{B}/models/Local", headers=headers) as refused:
        assert refused.status == 422


def test_providers(server: MediaryServer) -> None:
    listed = {provider["name"]: provider for provider in server.get_json(f"{B}/providers")}

    local = listed["Local"]
    assert set(local) == PROVIDER
    assert {name: local[name] for name in ("image", "audio", "video", "auth", "live", "nodriver", "hf_space")} == {
        "image": 1, "audio": 1, "video": 0, "auth": False, "live": True, "nodriver": False, "hf_space": False,
    }  # fmt: skip
    assert all(set(provider) == PROVIDER for provider in listed.values())


def test_version(server: MediaryServer) -> None:
    answer = server.get_json(f"{B}/version")

    assert set(answer) == {"version", "latest_version"}
    assert answer["version"] == __version__


def test_any_provider(server: MediaryServer) -> None:
    ids = [model["id"] for model in server.get_json(f"{B}/models/AnyProvider")]
    without = server.get(f"{B}/models/AnyProvider", headers={"x-ignored": "Local, Aimock"})

    assert {"passages", "m", "tale"} <= set(ids)
    assert len(ids) == len(set(ids))
    assert b'"passages"' not in without
    assert b'"tale"' in without
    named, unnamed = (server.converse("Hello", **fields)[0] for fields in ({"provider": "AnyProvider"}, {}))
    assert named == unnamed


def test_quota(tmp_path: Path) -> None:
    with in_background(raw_server()) as proxy:
        proxy.answers["http://openrouter.ai/api/v1/credits"] = response(
            b'{"data": {"total_credits": 5, "total_usage": 2}}'
        )
        proxy.answers["http://openrouter.ai/api/v1/key"] = response(b'{"data": {"limit": null}}')
        settings = (
            f'[net]\nproxy = "{proxy.url}"\n[providers.Router]\nwire = "openai"\nmodels = ["m"]\napi_key = "k"\n'
            'base_url = "http://openrouter.ai/api/v1"\n'
        )
        with MediaryServer(tmp_path / "data", settings=settings) as server:
            told = server.get_json(f"{B}/quota/Router")

    assert told == {"total_credits": 5, "total_usage": 2, "limit": None}


def test_quota_of_who_tells_nothing(server: MediaryServer) -> None:
    assert ask(server, f"{B}/quota/Local").status == 404
    assert ask(server, f"{B}/quota/Nobody").status == 404


def test_own_providers_of_the_web_client(server: MediaryServer) -> None:
    assert server.get_json("/pa/providers") == []
