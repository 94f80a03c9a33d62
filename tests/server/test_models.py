"""Models, providers, version and health through HTTP."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from tests.servers.http import raw_server, response
from tests.servers.mediary import MediaryServer

MODELS = "/backend-api/v2/models"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    settings = """
    [providers.Listed]
    wire = "openai"
    base_url = "http://127.0.0.1:9/v1"
    models = ["one", "two", "passages"]
    image_models = ["two"]
    default_model = "two"
    [providers.Gone]
    wire = "openai"
    base_url = "http://127.0.0.1:9/v1"
    [models]
    fast = ["gone/one", "Listed/one"]
    art = ["Local/picture"]
    """
    with MediaryServer(tmp_path_factory.mktemp("models") / "data", settings=settings) as running:
        yield running


def answer(server: MediaryServer, path: str, **headers: str) -> tuple[int, Any]:
    with server.open(path, headers={name.replace("_", "-"): value for name, value in headers.items()}) as response:
        return response.status, json.loads(response.read())


def test_every_provider_with_its_models_and_one_that_fails_with_none(server: MediaryServer) -> None:
    models = server.get_json(MODELS)

    assert list(models) == ["Listed", "Gone", "Local"]
    assert set(models["Listed"]) == {"one", "two", "passages"}
    assert models["Gone"] == []
    assert models["Local"] == ["passages", "speech", "picture"]


def test_the_models_of_one_provider(server: MediaryServer) -> None:
    models = {model["id"]: model for model in server.get_json(f"{MODELS}/Local")}

    assert models["passages"] | {"tags": []} == {
        "id": "passages",
        "model": "passages",
        "label": models["passages"]["label"],
        "default": True,
        "vision": False,
        "audio": False,
        "video": False,
        "image": False,
        "count": 1,
        "tags": [],
    }
    assert (models["speech"]["audio"], models["picture"]["image"]) == (True, True)
    assert "de" in models["speech"]["tags"]


def test_a_provider_is_found_in_any_case(server: MediaryServer) -> None:
    assert answer(server, f"{MODELS}/local")[0] == 200


def test_any_provider_lists_every_model_once(server: MediaryServer) -> None:
    ids = [model["id"] for model in server.get_json(f"{MODELS}/AnyProvider")]

    assert sorted(ids) == ["art", "fast", "one", "passages", "picture", "speech", "two"]


def test_any_provider_has_groups_that_look_like_their_models(server: MediaryServer) -> None:
    models = {model["id"]: model for model in server.get_json(f"{MODELS}/AnyProvider")}

    assert (models["fast"]["tags"], models["fast"]["image"]) == (["group"], False)
    assert (models["art"]["tags"], models["art"]["image"], models["art"]["model"]) == (["group"], True, "art")
    assert [id_ for id_, model in models.items() if "group" in model["tags"]] == ["fast", "art"]


@pytest.mark.parametrize("ignored", ["local, gone", "Local Gone", "gone local", "LOCAL,GONE"])
def test_any_provider_leaves_out_whom_the_request_ignores(server: MediaryServer, ignored: str) -> None:
    models = server.get_json(f"{MODELS}/AnyProvider", headers={"x-ignored": ignored})

    assert sorted(model["id"] for model in models) == ["fast", "one", "passages", "two"]


def test_an_unknown_provider_is_not_found(server: MediaryServer) -> None:
    status, body = answer(server, f"{MODELS}/Lokal")

    assert (status, body["error"]["code"]) == (404, "not_found")
    assert "did you mean Local?" in body["error"]["message"]


@pytest.mark.parametrize("header", ["x-api-base", "x_api_base"])
def test_an_address_goes_with_custom_only_and_passes_the_guard(server: MediaryServer, header: str) -> None:
    with server.open(f"{MODELS}/Local", headers={header: "http://127.0.0.1:9/v1"}) as refused:
        assert refused.status == 422
    with server.open(f"{MODELS}/Custom", headers={header: "http://127.0.0.1:9/v1"}) as refused:
        assert (refused.status, b"address_refused" in refused.read()) == (400, True)


async def test_custom_lists_what_the_request_points_at(tmp_path: Path) -> None:
    async with raw_server() as up:
        up.answers["/v1/models"] = response(b'{"data":[{"id":"theirs"}]}', "Content-Type: application/json")
        with MediaryServer(tmp_path / "data", settings='[net]\nallow = ["127.0.0.0/8"]\n') as server:
            headers = {"x-api-base": f"{up.url}/v1", "x-api-key": "sk-theirs"}
            models = await asyncio.to_thread(server.get_json, f"{MODELS}/Custom", headers=headers)

    assert [model["id"] for model in models] == ["theirs"]
    assert up.received[0].headers["authorization"] == "Bearer sk-theirs"


def test_providers_say_what_they_can(server: MediaryServer) -> None:
    providers = {provider["name"]: provider for provider in server.get_json("/backend-api/v2/providers")}

    assert providers["Local"] == {
        "name": "Local",
        "label": "Local",
        "parent": None,
        "image": 1,
        "audio": 1,
        "video": 0,
        "vision": False,
        "auth": False,
        "login_url": None,
        "live": True,
        "active_by_default": True,
        "nodriver": False,
        "hf_space": False,
    }
    assert (providers["Gone"]["live"], providers["Listed"]["image"]) == (False, 1)


def test_version_and_health(server: MediaryServer) -> None:
    version = server.get_json("/backend-api/v2/version")
    assert set(version) == {"version", "latest_version"}
    assert server.get_json("/healthz") == {"status": "alive"}
    assert server.get_json("/readyz") == {"status": "ready"}


def test_the_openapi_page_needs_nothing_from_elsewhere(server: MediaryServer) -> None:
    page = server.get("/docs").decode()
    assert "https://" not in page
    document = server.get_json("/openapi.json")
    assert {"/backend-api/v2/conversation", "/media/{name}", MODELS, "/readyz"} <= set(document["paths"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", MODELS, 405),
        ("DELETE", "/healthz", 405),
        ("PUT", "/docs", 405),
        ("GET", "/media/", 404),
    ],
)
def test_what_is_not_there_says_so_in_json(server: MediaryServer, method: str, path: str, status: int) -> None:
    with server.open(path, method=method) as refused:
        assert refused.status == status
        assert set(json.loads(refused.read())["error"]) == {"code", "message"}


@pytest.mark.parametrize("path", [MODELS, f"{MODELS}/Local", "/backend-api/v2/version", "/healthz", "/readyz", "/docs"])
def test_head_is_answered_as_get_without_a_body(server: MediaryServer, path: str) -> None:
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    with closing(connection):
        answers = []
        for method in ("HEAD", "GET"):  # over one connection: a body behind the first would garble the second
            connection.request(method, path)
            with connection.getresponse() as got:
                answers.append((got.status, got.headers["content-type"], len(got.read())))
    assert answers[0][:2] == answers[1][:2] == (200, answers[1][1])
    assert answers[0][2] == 0 < answers[1][2]


def test_head_is_no_second_entry_in_the_openapi_document(server: MediaryServer) -> None:
    paths = server.get_json("/openapi.json")["paths"]
    assert {path: set(paths[path]) for path in (MODELS, "/readyz")} == {MODELS: {"get"}, "/readyz": {"get"}}


def test_head_finds_what_get_finds(server: MediaryServer) -> None:
    with server.open("/nothing", method="HEAD") as missing:
        assert missing.status == 404
    with server.open(MODELS, method="POST") as refused:
        assert refused.headers["allow"] == "GET, HEAD"


async def test_model_servers_on_this_machine_are_found(tmp_path: Path) -> None:
    async with raw_server(port=11434) as ollama:
        ollama.answers["/api/tags"] = response(b'{"models":[{"name":"llama3:latest"},{"name":"all-minilm:latest"}]}')
        server = MediaryServer(tmp_path / "data", discover=True)
        await asyncio.to_thread(server.start)
        try:
            models = await asyncio.to_thread(server.get_json, MODELS)
            assert server.start_line
            names = server.start_line["providers"]
        finally:
            server.kill()

    assert models["Ollama"] == ["llama3:latest"]
    assert names == "Ollama, Local"


@pytest.mark.parametrize("answer", [b'{"other":' + b"[" * 100_000, b"[]", b'{"models": 5}', b"\xff"])
async def test_what_is_no_model_server_is_left_alone(tmp_path: Path, answer: bytes) -> None:
    async with raw_server(port=11434) as other:
        other.answers["/api/tags"] = response(answer)
        server = MediaryServer(tmp_path / "data", discover=True)
        await asyncio.to_thread(server.start)
        try:
            models = await asyncio.to_thread(server.get_json, MODELS)
        finally:
            server.kill()

    assert list(models) == ["Local"]
    assert "/api/tags" in [asked.target for asked in other.received]


async def test_who_is_configured_is_not_found_again(tmp_path: Path) -> None:
    async with raw_server(port=11434) as ollama:
        ollama.answers["/api/tags"] = response(b'{"models":[{"name":"llama3:latest"}]}')
        ollama.answers["/v1/models"] = response(b'{"object":"list","data":[{"id":"llama3:latest"}]}')
        settings = '[providers.Mine]\nwire = "openai"\nbase_url = "http://localhost:11434/v1"\n'
        with MediaryServer(tmp_path / "data", discover=True, settings=settings) as server:
            models = await asyncio.to_thread(server.get_json, MODELS)

    assert models["Mine"] == ["llama3:latest"]
    assert "Ollama" not in models
    assert "/api/tags" not in [asked.target for asked in ollama.received]
