"""Pages of other sites: kept out unless the operator lets their site in, and then told so by every answer."""

from collections.abc import Iterator
from http.client import HTTPMessage

import pytest
from tests.servers.mediary import MediaryServer

from mediary.errors import SettingsError
from mediary.settings import load_settings

SITE = "https://chat.example.com"
VERSION = "/backend-api/v2/version"
LOG = "/backend-api/v2/chat/abc"
KEY = {"authorization": "Bearer hunter2-hunter2"}
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-user"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    settings = f'[server]\nkey = "hunter2-hunter2"\nallow_origins = ["{SITE.upper()}/", "http://localhost:3000"]\n'
    with MediaryServer(tmp_path_factory.mktemp("origins") / "data", settings=settings) as running:
        yield running


def ask(
    server: MediaryServer, origin: str | None, path: str = VERSION, *, method: str = "GET", **headers: str
) -> tuple[int, HTTPMessage]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"updated": 1} if method == "POST" else None
    with server.open(path, body, method=method, headers=sent | ({"origin": origin} if origin else {})) as response:
        response.read()
        return response.status, response.headers


@pytest.mark.parametrize("path", [VERSION, "/media/none.png", "/share/none", "/healthz", "/search/none"])
def test_every_answer_says_who_may_read_it(server: MediaryServer, path: str):
    for headers in (KEY, {}):
        _, got = ask(server, SITE, path, **headers)
        assert got["access-control-allow-origin"] == SITE
        assert "etag" in got["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in got
    for origin in (
        "https://other.example.com",
        "http://chat.example.com",
        "https://chat.example.com:444",
        "null",
        None,
    ):
        _, got = ask(server, origin, path, **KEY)
        assert "access-control-allow-origin" not in got
        assert got["vary"] == "Origin"


def test_a_browser_asks_first_without_the_key(server: MediaryServer):
    status, got = ask(server, SITE, method="OPTIONS", **PREFLIGHT)
    assert status == 204
    assert got["access-control-allow-origin"] == SITE
    assert {"POST", "DELETE", "PATCH"} <= set(got["access-control-allow-methods"].split(", "))
    assert got["access-control-allow-headers"] == "content-type,x-user"
    assert "access-control-allow-private-network" not in got
    _, got = ask(server, SITE, method="OPTIONS", **PREFLIGHT, **{"access-control-request-private-network": "true"})
    assert got["access-control-allow-private-network"] == "true"
    status, got = ask(server, "https://other.example.com", method="OPTIONS", **PREFLIGHT)
    assert (status, got["access-control-allow-origin"]) == (401, None)


def test_an_allowed_site_changes_things_and_others_do_not(server: MediaryServer):
    assert ask(server, SITE, LOG, method="POST", **KEY)[0] == 200
    assert ask(server, SITE, LOG, method="POST")[0] == 401
    assert ask(server, "https://other.example.com", LOG, method="POST", **KEY)[0] == 403
    assert ask(server, "null", LOG, method="POST", **KEY)[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_other_sites_cannot_have_a_browser_ask_for_what_costs_money(server: MediaryServer, site: str, method: str):
    sent = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors", **KEY}
    speech = "/backend-api/v2/synthesize/Nobody?text=hello"
    for where in ({}, {"referer": "https://other.example.com/x"}, {"referer": "http://["}, {"referer": "about:client"}):
        assert ask(server, None, speech, method=method, **sent, **where)[0] == 403
    for origin in ("https://other.example.com", "null"):
        assert ask(server, origin, VERSION, method=method, **sent, referer=f"{SITE}/")[0] == 403
    assert ask(server, None, speech, method=method, **sent, referer=f"{SITE}/chat/?x")[0] == 404
    assert ask(server, SITE, speech, method=method, **sent)[0] == 404
    assert ask(server, None, speech, method=method, **(sent | {"sec-fetch-site": "same-origin"}))[0] == 404
    assert ask(server, None, speech, method=method, **(sent | {"sec-fetch-site": "none"}))[0] == 404
    assert ask(server, None, "/media/none.png", method=method, **sent)[0] == 404


def test_without_the_setting_nobody_is_told_anything(tmp_path):
    with MediaryServer(tmp_path / "data") as server:
        status, got = ask(server, SITE)
        assert (status, got["access-control-allow-origin"], got["vary"]) == (200, None, None)
        assert ask(server, SITE, method="OPTIONS", **PREFLIGHT)[0] == 405
        assert ask(server, SITE, LOG, method="POST")[0] == 403
        assert ask(server, server.url, LOG, method="POST")[0] == 200
        assert ask(server, None, **{"sec-fetch-site": "cross-site"})[0] == 403


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "chat.example.com",
        "https://x/chat",
        "ftp://x",
        "https://u@x",
        "",
        "https://*.x.de",
        "https://bücher.de",
        "https://x y",
    ],
)
def test_what_is_no_origin_stops_the_start(tmp_path, origin: str):
    (tmp_path / "mediary.toml").write_text(f'[server]\nallow_origins = ["{origin}"]\n', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"server\.allow_origins"):
        load_settings(data=tmp_path)


@pytest.mark.parametrize(
    ("written", "origin"),
    [("https://chat.example.com:443", SITE), ("HTTP://LocalHost:80/", "http://localhost"), (f" {SITE} ", SITE)],
)
def test_an_origin_is_read_as_browsers_write_it(tmp_path, written: str, origin: str):
    (tmp_path / "mediary.toml").write_text(f'[server]\nallow_origins = ["{written}"]\n', encoding="utf-8")
    assert load_settings(data=tmp_path).server.allow_origins == (origin,)
