"""`/search/<a+b>` through HTTP: where it leads, what it tells in JSON, what it refuses; garbage breaks nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.media.samples import picture
from tests.server.forms import form
from tests.servers.mediary import MediaryServer

from mediary.server.routes.search import read_tokens, wants_json

MEDIA = "/backend-api/v2/media"
JSON = {"accept": "application/json"}

FOX = "1700000001_flux+anime+A_red_fox_aaaaaaaaaaaaaaaa.png"
BOAT = "1700000002_flux+photo+A_red_boat_bbbbbbbbbbbbbbbb.png"
LETTER = "1700000003_speech+A_red_letter_cccccccccccccccc.mp3"
IMAGES = "1700000004_speech+The_image_of_one_boat_dddddddddddddddd.mp3"
LISA = "1700000005_Красная_лиса_eeeeeeeeeeeeeeee.png"
HULI = "1700000006_红色的狐狸_ffffffffffffffff.png"
PLUS = "1700000007_c++and_more_0000000000000000.png"
NAMES = (FOX, BOAT, LETTER, IMAGES, LISA, HULI, PLUS)
PROMPT = "100% of 'it' \"is\" a_b * 🦊 \\ naïve"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    data = tmp_path_factory.mktemp("search") / "data"
    media = data / "generated_media"
    media.mkdir(parents=True)
    for name in NAMES:
        (media / name).write_bytes(b"ID3\x04\0\0\0\0\0\0" if name.endswith(".mp3") else picture())
    with MediaryServer(data) as running:
        for name in NAMES:
            running.get(f"{MEDIA}/{quote(name)}")
        body, content_type = form({"prompt": PROMPT, "alt": "nothing"}, {"x.png": picture()})
        add(running, body, content_type)
        yield running


def add(server: MediaryServer, body: bytes, content_type: str) -> str:
    """Add a file; its name in the library."""
    from urllib.request import Request, urlopen

    request = Request(server.url + MEDIA, body, {"content-type": content_type}, method="POST")
    with urlopen(request, timeout=30) as response:
        [result] = json.loads(response.read())["results"]
    return str(result["name"])


def search(server: MediaryServer, path: str, **options: Any) -> tuple[int, str | None]:
    """The status, and the name of the file that it leads to."""
    with server.open(f"/search/{path}", **options) as response:
        response.read()
        location = response.headers["location"]
        return response.status, location and unquote(location.removeprefix("/media/"))


def listed(server: MediaryServer, path: str) -> tuple[list[str], int]:
    """The names in the JSON answer, and its total."""
    answer = server.get_json(f"/search/{path}", headers=JSON)
    return [item["name"] for item in answer["items"]], answer["total"]


def test_it_leads_to_the_newest_that_matches_all_tokens(server: MediaryServer) -> None:
    with server.open("/search/flux+red") as response:
        assert response.status == 302
        assert response.headers["location"] == f"/media/{BOAT}"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["vary"] == "accept"
        assert response.read() == b""
        location = response.headers["location"]
    assert server.get(location) == picture()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("fox", FOX),
        ("FOX", FOX),
        ("anime+red", FOX),
        ("red+anime", FOX),
        ("1700000001", FOX),
        ("ox", FOX),
        ("image+red", BOAT),
        ("IMAGE+red", BOAT),
        ("audio+red", LETTER),
        ("audio/mpeg+red", LETTER),
        ("image/png+fox", FOX),
        ("image%2Fpng+fox", FOX),
        ("//%2F..%2F../fox", None),
        ("red+image", None),  # only the first token names a kind
        ("boat+image", IMAGES),
        ("image/jpeg+red", None),
        ("video", None),
        ("%D0%9A%D0%A0%D0%90%D0%A1%D0%9D%D0%90%D0%AF", LISA),
        (quote("лис"), LISA),
        (quote("狐狸"), HULI),
        (quote("红"), HULI),
        ("c%2B%2B", PLUS),
        ("+fox+", FOX),
        ("nothing-of-the-kind", None),
        ("red+nothing-of-the-kind", None),
        ("red%20fox", FOX),  # a blank is a part of a token
        ("fox%20red", None),
    ],
)
def test_tokens_match_anywhere_in_any_case(server: MediaryServer, path: str, found: str | None) -> None:
    assert search(server, path) == ((302, found) if found else (404, None))


@pytest.mark.parametrize(
    "token", ["100%", "%", "'it'", '"is"', "a_b", "*", "🦊", "\\", "NAÏVE", "nai\u0308ve", "% of", "'"]
)
def test_what_means_something_to_a_database_is_a_character_like_any_other(server: MediaryServer, token: str) -> None:
    names, total = listed(server, quote(token, safe=""))

    assert total == len(names) == 1
    assert server.get_json(f"{MEDIA}/{names[0]}")["prompt"] == PROMPT


def test_underscore_and_percent_stand_for_themselves_alone(server: MediaryServer) -> None:
    assert search(server, "r_d") == (404, None)
    assert search(server, "r%25d") == (404, None)


def test_without_a_token_every_item_matches(server: MediaryServer) -> None:
    assert listed(server, "?limit=1")[1] >= len(NAMES)
    assert search(server, "?random=true")[0] == 302


def test_nothing_is_a_404_that_says_so(server: MediaryServer) -> None:
    with server.open("/search/nothing-of-the-kind") as response:
        assert json.loads(response.read()) == {"error": {"code": "not_found", "message": "no media item matches"}}
        assert response.headers["cache-control"] == "no-store"
    assert listed(server, "nothing-of-the-kind") == ([], 0)


def test_min_is_how_many_tokens_are_enough(server: MediaryServer) -> None:
    assert listed(server, "fox+boat+red") == ([], 0)
    assert listed(server, "fox+boat+red?min=2") == ([BOAT, FOX], 2)
    assert listed(server, "fox+boat+red?min=1") == ([IMAGES, LETTER, BOAT, FOX], 4)
    assert search(server, "fox+boat+red?min=3") == (404, None)


def test_skip_steps_on(server: MediaryServer) -> None:
    found = [search(server, f"red?skip={skip}")[1] for skip in range(4)]

    assert found == [LETTER, BOAT, FOX, None]


def test_limit_is_how_many_are_told_of_and_total_how_many_there_are(server: MediaryServer) -> None:
    assert listed(server, "red?limit=2") == ([LETTER, BOAT], 3)
    assert listed(server, "red?limit=2&skip=2") == ([FOX], 3)


def test_an_item_is_told_as_the_library_tells_it(server: MediaryServer) -> None:
    [item] = server.get_json("/search/anime", headers=JSON)["items"]

    told = server.get_json(f"{MEDIA}/{FOX}")
    assert item.keys() == told.keys()
    assert [item[field] for field in ("name", "url", "created")] == [
        told[field] for field in ("name", "url", "created")
    ]


def test_a_seed_picks_the_same_each_time(server: MediaryServer) -> None:
    picked = {seed: search(server, f"red?random={seed}")[1] for seed in map(str, range(10, 40))}

    assert set(picked.values()) == {FOX, BOAT, LETTER}
    assert all(search(server, f"red?random={seed}") == (302, name) for seed, name in picked.items())


def test_chance_picks_each_sooner_or_later(server: MediaryServer) -> None:
    seen: set[str | None] = set()
    while len(seen) < 3:
        seen.add(search(server, "red?random=true")[1])

    assert seen == {FOX, BOAT, LETTER}


def test_no_chance_is_the_newest(server: MediaryServer) -> None:
    assert {search(server, f"red?random={no}")[1] for no in ("", "false", "0", "No")} == {LETTER}


@pytest.mark.parametrize("headers", [{}, JSON])
def test_head_tells_the_same_without_a_body(server: MediaryServer, headers: dict[str, str]) -> None:
    answers = []
    for method in ("GET", "HEAD"):
        with server.open("/search/red", method=method, headers=headers) as response:
            told = {name: response.headers[name] for name in ("location", "content-type", "content-length", "vary")}
            answers.append((response.status, told))
            assert method == "GET" or response.read() == b""
    assert answers[0] == answers[1]


def test_other_methods_are_told_the_right_one(server: MediaryServer) -> None:
    with server.open("/search/red", {}, method="POST") as response:
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "query",
    [
        *("min=0", "min=-1", "min=x", "min=1.5", "min=1_0", "min=%D9%A3", f"min={'9' * 5000}"),
        *("skip=-1", "skip=x", "skip=1e3", f"skip={2**63}", "skip=99999999999999999999999"),
        *("limit=0", "limit=501", "limit=all", "limit=-1", "limit=NaN"),
    ],
)
def test_nonsense_is_a_400_that_names_it(server: MediaryServer, query: str) -> None:
    with server.open(f"/search/red?{query}") as response:
        error = json.loads(response.read())["error"]
    assert (response.status, error["code"]) == (400, "bad_request")
    assert query.partition("=")[0] in error["message"]
    assert len(error["message"]) < 200


def test_too_many_tokens_are_a_400(server: MediaryServer) -> None:
    assert search(server, "+".join("a" for _ in range(65)))[0] == 400


def test_a_file_is_found_from_the_moment_it_is_saved_and_not_after_it_is_deleted(server: MediaryServer) -> None:
    name = add(server, *form({"tags": "zebra"}, {"striped.png": picture() + b"zebra"}))
    assert search(server, "zebra") == (302, name)
    assert search(server, "striped") == (302, name)

    with server.open(f"{MEDIA}/{name}", method="DELETE") as response:
        assert response.status == 200

    assert search(server, "zebra") == (404, None)
    assert listed(server, "striped") == ([], 0)


def test_what_was_made_is_found_by_prompt_and_model(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data") as server:
        server.converse("A quiet harbour at dawn", provider="Local", model="picture", width=16, height=16)

        names, total = listed(server, "image+quiet%20harbour+picture")
        assert total == 1
        assert server.get_json(f"{MEDIA}/{names[0]}")["prompt"] == "A quiet harbour at dawn"


def written(garbage: bytes | str) -> bytes:
    return garbage.encode("utf-8", "replace") if isinstance(garbage, str) else garbage


@settings(max_examples=150, deadline=None)
@given(path=st.binary(max_size=40) | st.text(max_size=20), query=st.binary(max_size=30) | st.text(max_size=20))
def test_no_garbage_is_a_500(server: MediaryServer, path: bytes | str, query: bytes | str) -> None:
    garbage = f"{quote(written(path), safe='/+%&=;,:@!$*()')}?{quote(written(query), safe='/+%&=;')}"
    for headers in ({}, JSON):
        assert search(server, garbage, headers=headers)[0] in (200, 302, 400, 404)


@settings(max_examples=100, deadline=None)
@given(
    token=st.text(max_size=10) | st.sampled_from(["image", "video/mp4", "true", "\x00", "\ud800", "\ufffd"]),
    parameters=st.dictionaries(
        st.sampled_from(["min", "skip", "limit", "random"]),
        st.text(max_size=8) | st.integers(-5, 2**70).map(str) | st.sampled_from(["true", "", "nan", "1e9", "٣"]),
    ),
)
def test_no_parameter_is_a_500(server: MediaryServer, token: str, parameters: dict[str, str]) -> None:
    query = "&".join(f"{name}={quote(value, safe='', errors='replace')}" for name, value in parameters.items())
    path = f"{quote(token, safe='', errors='replace')}+red?{query}"
    assert search(server, path, headers=JSON)[0] in (200, 302, 400, 404)


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        (b"application/json", True),
        (b"application/json, text/plain, */*", True),
        (b"text/html;q=0.9, Application/JSON; charset=utf-8", True),
        (b"application/json;q=0.5", True),
        (b"application/json;q=0", False),
        (b"application/json; q=0.000", False),
        (b"*/*", False),
        (b"image/avif,image/webp,*/*;q=0.8", False),
        (b"application/jsonp", False),
        (b"", False),
    ],
)
def test_json_is_for_who_names_it(accept: bytes, json_wanted: bool) -> None:
    assert wants_json([(b"host", b"x"), (b"accept", accept)]) is json_wanted


@pytest.mark.parametrize("path", ["/%73earch/fox", "/%73earch%2Ffox", "/search/", "/search//", "/search/%2F"])
def test_a_path_that_is_written_oddly_breaks_nothing(server: MediaryServer, path: str) -> None:
    with server.open(path) as response:
        assert response.status in (302, 404)


def test_a_plus_divides_and_an_escaped_one_is_a_plus() -> None:
    assert read_tokens(b"/search/a+b%2Bc++%20+d%2fe") == ("a", "b+c", " ", "d/e")


@given(st.lists(st.text(min_size=1, max_size=10).filter(lambda text: "\ud800" not in text)))
def test_tokens_come_through_a_path_as_they_are(tokens: list[str]) -> None:
    clean = [token.encode("utf-8", "replace").decode() for token in tokens]
    path = "/search/" + "+".join(quote(token, safe="") for token in clean)

    assert read_tokens(path.encode()) == tuple(clean)
