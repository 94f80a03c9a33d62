"""`/backend-api/v2/media` through HTTP: listing, telling, adding, tagging, trash, likeness; garbage breaks nothing."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyvips import Image
from tests.media.samples import picture, sound
from tests.server.forms import form
from tests.servers.mediary import MediaryServer, media_urls

from mediary.errors import BadRequestError, ConflictError, FieldError
from mediary.media.item import WHOLE, MediaItem
from mediary.server.items import iso_time
from mediary.server.query import read_time
from mediary.server.routes.library import LONGEST_TAG, MOST_TAGS, Listing, check_comparable, clean_tags

PATH = "/backend-api/v2/media"
DAY = 86400

OLD = "1600000000_old+thing_aaaaaaaaaaaaaaaa.png"
NOON = "1699963200_noon+of+14+november_bbbbbbbbbbbbbbbb.png"  # 2023-11-14T12:00:00Z
LATE = "1700006399_last+second+of+14+november_cccccccccccccccc.mp3"
NEXT = "1700006400_midnight_dddddddddddddddd.png"
CYRILLIC = "1700100000_тихое_море_eeeeeeeeeeeeeeee.png"
NAMES = (OLD, NOON, LATE, NEXT, CYRILLIC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    """A library with a few old files; the tests that follow only read it, or bring their own."""
    data = tmp_path_factory.mktemp("library") / "data"
    media = data / "generated_media"
    media.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        content = sound("mp3", "libmp3lame") if name.endswith(".mp3") else picture(width=16 + number)
        (media / name).write_bytes(content)
    with MediaryServer(data, settings="[media]\nmax_bytes = 400000\n") as running:
        for name in NAMES:
            running.get(f"{PATH}/{quote(name)}")
        yield running


def ask(server: MediaryServer, path: str = "", body: Any = None, method: str | None = None) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    with server.open(PATH + path, body, method=method) as response:
        assert response.headers["content-type"] == "application/json"
        return response.status, json.loads(response.read())


def error_of(server: MediaryServer, path: str = "", body: Any = None, method: str | None = None) -> tuple[int, str]:
    """The status and the message of a refusal."""
    status, answer = ask(server, path, body, method)
    return status, answer["error"]["message"]


def names(server: MediaryServer, query: str = "") -> list[str]:
    """The names of one page."""
    return [item["name"] for item in server.get_json(f"{PATH}?{query}")["items"]]


def old_names(server: MediaryServer, query: str = "") -> list[str]:
    """Those of them that were there from the start."""
    return [name for name in names(server, query) if name in NAMES]


def post(server: MediaryServer, body: bytes, content_type: str, **headers: str) -> tuple[int, Any]:
    """Send a form; the status and the JSON of its answer."""
    request = Request(server.url + PATH, body, {"content-type": content_type} | headers, method="POST")
    try:
        with urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read())
    except OSError as error:
        return error.code, json.loads(error.read())  # type: ignore[attr-defined]


def add(server: MediaryServer, *contents: bytes, **fields: str) -> list[str]:
    """Add pictures; their names in the library."""
    status, answer = post(server, *form(fields, [(f"added {n}.png", data) for n, data in enumerate(contents)]))
    assert status == 200, answer
    return [result["name"] for result in answer["results"]]


def declared(server: MediaryServer, method: str, path: str, size: int) -> int:
    """The status for a request that says how large its body will be, and waits."""
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    with closing(connection):
        connection.putrequest(method, PATH + path)
        connection.putheader("content-length", str(size))
        connection.endheaders()
        return connection.getresponse().status


class TestListing:
    def test_the_newest_come_first(self, server: MediaryServer) -> None:
        assert old_names(server) == [CYRILLIC, NEXT, LATE, NOON, OLD]

    def test_other_orders(self, server: MediaryServer) -> None:
        assert old_names(server, "order=oldest") == [*NAMES]
        assert old_names(server, "order=name") == sorted(NAMES)
        sizes = [item["size"] for item in server.get_json(f"{PATH}?order=largest")["items"]]
        assert sizes == sorted(sizes, reverse=True)

    @pytest.mark.parametrize("order", ["newest", "oldest", "name", "largest"])
    def test_pages_follow_one_another_without_gap_or_repetition(self, server: MediaryServer, order: str) -> None:
        whole = names(server, f"order={order}")
        paged, cursor = [], ""
        while cursor is not None:
            page = server.get_json(f"{PATH}?order={order}&limit=2&cursor={quote(cursor)}")
            assert len(page["items"]) <= 2
            paged += [item["name"] for item in page["items"]]
            cursor = page["next"]

        assert paged == whole

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("kind=audio", [LATE]),
            ("kind=image&to=2023-11-14", [NOON, OLD]),
            ("kind=video", []),
            ("kind=", [CYRILLIC, NEXT, LATE, NOON, OLD]),
            ("q=november", [LATE, NOON]),
            ("prompt=november", [LATE, NOON]),
            ("q=NOVEMBER&prompt=noon", [NOON]),
            (f"q={quote('Тихое')}", [CYRILLIC]),
            ("q=%25", []),
            ("tag=none", []),
            ("model=none", []),
            ("provider=none", []),
            ("bucket=none", []),
            ("trashed=true", []),
            ("trashed=no&kind=audio", [LATE]),
        ],
    )
    def test_filters(self, server: MediaryServer, query: str, found: list[str]) -> None:
        assert old_names(server, query) == found

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("from=2023-11-14&to=2023-11-14", [LATE, NOON]),
            ("from=2023-11-15&to=2023-11-15", [NEXT]),
            ("to=2023-11-13", [OLD]),
            ("from=1700006399&to=1700006400", [NEXT, LATE]),
            ("from=2023-11-14T12:00:00Z&to=2023-11-14T12:00:00Z", [NOON]),
            ("from=2023-11-14T13:00:00%2B01:00&to=2023-11-14T13:00:00+01:00", [NOON]),
            ("from=2023-11-14T12:00&to=2023-11-14T12:00", [NOON]),
            ("from=&to=2020-12-31", [OLD]),
        ],
    )
    def test_times(self, server: MediaryServer, query: str, found: list[str]) -> None:
        assert old_names(server, query) == found

    @pytest.mark.parametrize(
        "query",
        [
            *("kind=hologram", "order=random", "limit=0", "limit=501", "limit=x", "limit=", "limit=1.5"),
            *("from=yesterday", "to=2023-13-01", "from=2023-11-14T25:00", "trashed=maybe", "trashed=2"),
            *("cursor=x", "cursor=%00", "cursor=-1", f"cursor={'9' * 40}", "order=name&cursor=%FF"),
        ],
    )
    def test_nonsense_is_a_400(self, server: MediaryServer, query: str) -> None:
        status, message = error_of(server, f"?{query}")
        assert status == 400
        assert query.split("&")[-1].partition("=")[0] in message

    def test_head_is_a_get_without_a_body(self, server: MediaryServer) -> None:
        with server.open(PATH, method="HEAD") as response:
            assert (response.status, response.read()) == (200, b"")


class TestTelling:
    def test_an_item_is_told_with_all_that_is_known(self, server: MediaryServer) -> None:
        [name] = add(server, picture(width=40), tags="sea, blue", prompt="A sea", alt="The sea")

        status, item = ask(server, f"/{quote(name)}")

        assert status == 200
        assert item["name"] == name
        assert item["url"] == f"/media/{name}"
        assert item["thumbnail"] == f"/thumbnail/{name}"
        assert (item["kind"], item["type"], item["size"]) == ("image", "image/png", len(picture(width=40)))
        assert (item["width"], item["height"], item["duration"]) == (40, 48, None)
        assert (item["prompt"], item["alt"], item["tags"]) == ("A sea", "The sea", ["sea", "blue"])
        assert datetime.fromisoformat(item["created"]).timestamp() == pytest.approx(int(name[:10]), abs=1)
        assert item["trashed"] is None
        assert server.get(item["url"]) == picture(width=40)

    def test_a_name_of_any_script_is_found_and_leads_to_its_file(self, server: MediaryServer) -> None:
        _, item = ask(server, f"/{quote(CYRILLIC)}")

        assert item["name"] == CYRILLIC
        assert item["url"] == f"/media/{quote(CYRILLIC)}"
        assert server.get(item["url"]) == picture(width=20)

    @pytest.mark.parametrize(
        "path",
        [
            "/none.png",
            "/.trash",
            "/..%2Fmediary.db",
            "/a%2Fb.png",
            "/%00",
            "/%FF",
            "/.incoming",
            f"/{'x' * 300}.png",
        ],
    )
    def test_what_is_no_item_is_a_404(self, server: MediaryServer, path: str) -> None:
        assert error_of(server, path)[0] == 404

    @pytest.mark.parametrize("times", [-1e18, -1, 0, 1e9, 253402300799, 1e18])
    def test_any_time_can_be_told(self, times: float) -> None:
        assert datetime.fromisoformat(iso_time(times)).year in range(1970, 10000)


class TestAdding:
    def test_files_become_items_in_their_order(self, server: MediaryServer) -> None:
        files = {"My sea.png": picture(width=33), "notes.txt": b"no media", "song.mp3": sound("mp3", "libmp3lame")}

        status, answer = post(server, *form({}, files), **{"x-user": "anna"})

        assert status == 200
        first, second, third = answer["results"]
        assert first["file"] == "My sea.png"
        assert "My_sea" in first["name"]
        assert (first["alt"], first["owner"], first["width"]) == ("My sea", "anna", 33)
        assert second.keys() == {"file", "rejected"}
        assert "media formats" in second["rejected"]
        assert third["kind"] == "audio"
        assert server.get(first["url"]) == files["My sea.png"]
        assert ask(server, f"/{quote(first['name'])}")[1].keys() == first.keys() - {"file"}

    @pytest.mark.parametrize("content", [b"", b"x", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"MZ\0\0"])
    def test_what_is_no_media_is_rejected_and_nothing_is_kept(self, server: MediaryServer, content: bytes) -> None:
        before = names(server)

        status, answer = post(server, *form({}, {"x.png": content}))

        assert status == 200
        assert answer["results"][0]["rejected"]
        assert names(server) == before

    def test_a_hostile_file_name_is_a_name_like_any_other(self, server: MediaryServer) -> None:
        status, answer = post(server, *form({}, {"../../etc/passwd.png": picture(width=34)}))

        [result] = answer["results"]
        assert status == 200
        assert result["file"] == "passwd.png"
        assert server.get(result["url"]) == picture(width=34)

    @pytest.mark.parametrize(
        ("fields", "files", "status"),
        [
            ({}, {}, 422),
            ({"files": "not a file"}, {}, 422),
            ({"tags": "x" * 101}, {"a.png": b"x"}, 422),
            ({"tags": ",".join(map(str, range(65)))}, {"a.png": b"x"}, 422),
        ],
        ids=["nothing", "no file", "long tag", "many tags"],
    )
    def test_what_a_form_must_not_hold(
        self, server: MediaryServer, fields: dict[str, str], files: dict[str, bytes], status: int
    ) -> None:
        assert post(server, *form(fields, files))[0] == status

    @pytest.mark.parametrize(
        ("content_type", "status"),
        [("multipart/form-data; boundary=x", 400), ("multipart/form-data", 400), ("application/json", 422), ("x", 422)],
    )
    def test_what_is_no_form(self, server: MediaryServer, content_type: str, status: int) -> None:
        assert post(server, b"no form", content_type)[0] == status

    def test_a_form_over_the_limit_is_refused_before_it_is_read(self, server: MediaryServer) -> None:
        assert declared(server, "POST", "", 400_001) == 413

    def test_the_same_bytes_twice_are_two_names(self, server: MediaryServer) -> None:
        first, second = add(server, picture(width=35), picture(width=35))

        assert first != second
        assert server.get(f"/media/{first}") == server.get(f"/media/{second}")


class TestTagging:
    def test_tags_take_the_place_of_tags(self, server: MediaryServer) -> None:
        [name] = add(server, picture(width=36), tags="first")

        status, item = ask(server, f"/{name}", {"tags": ["  Second  tag ", "третий", "Second tag"]}, "PATCH")

        assert (status, item["tags"]) == (200, ["Second tag", "третий"])
        assert ask(server, f"/{name}")[1]["tags"] == item["tags"]
        assert names(server, "tag=second%20tag") == [name]
        assert names(server, "tag=second") == []
        assert names(server, "tag=first") == []
        assert ask(server, f"/{name}", {"tags": []}, "PATCH")[1]["tags"] == []

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 422),
            ({"tags": None}, 422),
            ({"tags": "sea"}, 422),
            ({"tags": [1]}, 422),
            ({"tags": ["a", " "]}, 422),
            ({"tags": ["a", "\x01\x7f"]}, 422),
            ({"tags": ["x" * (LONGEST_TAG + 1)]}, 422),
            ({"tags": [str(n) for n in range(MOST_TAGS + 1)]}, 422),
            ({"tags": [], "prompt": "another"}, 422),
            ({"tags": [], "name": "x"}, 422),
            ([], 400),
            ("tags", 400),
        ],
    )
    def test_what_does_not_fit_changes_nothing(self, server: MediaryServer, body: Any, status: int) -> None:
        ask(server, f"/{NOON}", {"tags": ["as it was"]}, "PATCH")

        assert error_of(server, f"/{NOON}", body, "PATCH")[0] == status
        assert ask(server, f"/{NOON}")[1]["tags"] == ["as it was"]

    def test_an_unknown_field_is_named(self, server: MediaryServer) -> None:
        message = error_of(server, f"/{NOON}", {"tags": [], "prompt": "x"}, "PATCH")[1]

        assert message == "prompt: contains unknown field"

    @pytest.mark.parametrize(
        ("path", "method", "allowed"),
        [
            (f"/{NOON}", "PUT", "DELETE, GET, HEAD, PATCH"),
            ("", "DELETE", "GET, HEAD, POST"),
            (f"/{NOON}/restore", "GET", "POST"),
        ],
    )
    def test_another_method_is_told_which_there_are(
        self, server: MediaryServer, path: str, method: str, allowed: str
    ) -> None:
        with pytest.raises(OSError) as refused:
            urlopen(Request(f"{server.url}{PATH}{path}", method=method), timeout=30)
        with refused.value as answer:  # type: ignore[attr-defined]
            assert (answer.code, answer.headers["allow"]) == (405, allowed)

    def test_what_is_not_there_cannot_be_tagged(self, server: MediaryServer) -> None:
        assert error_of(server, "/none.png", {"tags": []}, "PATCH")[0] == 404

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"tags": ["\\ud800"]}', b"[" * 5000, b'{"tags": NaN}'])
    def test_garbage_is_a_400(self, server: MediaryServer, body: bytes) -> None:
        request = Request(f"{server.url}{PATH}/{NOON}", body, {"content-type": "application/json"}, method="PATCH")
        with pytest.raises(OSError) as refused:
            urlopen(request, timeout=30)
        with refused.value as answer:  # type: ignore[attr-defined]
            assert answer.code == 400

    def test_a_body_over_the_limit_is_refused(self, server: MediaryServer) -> None:
        assert declared(server, "PATCH", f"/{NOON}", 1_100_000) == 413


class TestTrash:
    def test_what_is_deleted_comes_back(self, server: MediaryServer) -> None:
        [name] = add(server, picture(width=37), tags="dear")
        before = ask(server, f"/{name}")[1]

        status, answer = ask(server, f"/{name}", method="DELETE")

        assert (status, answer) == (200, {"message": "Media item moved to the trash"})
        assert ask(server, f"/{name}")[0] == 404
        assert names(server, "tag=dear") == []
        with server.open(f"/media/{name}") as response:
            assert response.status == 404
        [lying] = server.get_json(f"{PATH}?trashed=true&tag=dear")["items"]
        assert (lying["name"], lying["url"], lying["thumbnail"]) == (name, None, None)
        assert (
            datetime.fromisoformat(lying["trashed"]).timestamp()
            >= datetime.fromisoformat(before["created"]).timestamp()
        )
        assert error_of(server, f"/{name}", method="DELETE")[0] == 404

        status, restored = ask(server, f"/{name}/restore", {}, "POST")

        assert status == 200
        said = ("name", "url", "created", "alt", "tags", "trashed")  # the rest may have been read meanwhile
        assert [restored[field] for field in said] == [before[field] for field in said]
        assert server.get(restored["url"]) == picture(width=37)
        assert names(server, "tag=dear") == [name]
        assert error_of(server, f"/{name}/restore", {}, "POST")[0] == 404

    def test_what_is_deleted_from_the_trash_is_gone(self, server: MediaryServer) -> None:
        [name] = add(server, picture(width=38), tags="worthless")
        assert error_of(server, f"/{name}?trashed=true", method="DELETE")[0] == 404
        assert ask(server, f"/{name}")[0] == 200

        ask(server, f"/{name}", method="DELETE")
        status, answer = ask(server, f"/{name}?trashed=true", method="DELETE")

        assert (status, answer) == (200, {"message": "Media item deleted for good"})
        assert names(server, "trashed=true&tag=worthless") == []
        assert error_of(server, f"/{name}/restore", {}, "POST")[0] == 404
        assert error_of(server, f"/{name}?trashed=true", method="DELETE")[0] == 404
        assert not [
            file
            for file in (server.data / "generated_media").rglob("*")
            if file.is_file() and file.read_bytes() == picture(width=38)
        ]

    def test_of_two_names_of_the_same_bytes_one_stays(self, server: MediaryServer) -> None:
        first, second = add(server, picture(width=39), picture(width=39))

        ask(server, f"/{first}", method="DELETE")
        ask(server, f"/{first}?trashed=true", method="DELETE")

        assert server.get(f"/media/{second}") == picture(width=39)

    def test_without_a_trash_it_is_gone_at_once(self, tmp_path: Path) -> None:
        with MediaryServer(tmp_path / "data", settings="[media]\ntrash_days = 0\n") as server:
            [name] = add(server, picture())

            assert ask(server, f"/{name}", method="DELETE") == (200, {"message": "Media item deleted for good"})

            assert names(server, "trashed=true") == []
            assert error_of(server, f"/{name}/restore", {}, "POST")[0] == 404

    def test_whether_for_good_is_true_or_false(self, server: MediaryServer) -> None:
        assert error_of(server, f"/{NOON}?trashed=perhaps", method="DELETE")[0] == 400
        assert ask(server, f"/{NOON}")[0] == 200


class TestLikeness:
    def test_the_nearest_come_first(self, server: MediaryServer) -> None:
        landscape = Image.new_from_buffer(picture(width=64, height=48), "").gaussblur(4).scaleimage()
        twin, other = landscape.write_to_buffer(".jpg", Q=80), landscape.rot90().write_to_buffer(".png")
        [name, alike, unlike] = add(server, landscape.write_to_buffer(".png"), twin, other)
        for each in (name, alike, unlike):
            self.until_seen(server, each)

        found = server.get_json(f"{PATH}/{name}/similar?limit=500")["items"]

        distances = [item["distance"] for item in found]
        assert distances == sorted(distances)
        assert found[0]["name"] == alike
        assert found[0]["distance"] < 10 < next(item["distance"] for item in found if item["name"] == unlike)
        assert name not in [item["name"] for item in found]
        assert found[0].keys() - {"distance"} == ask(server, f"/{alike}")[1].keys()
        assert len(server.get_json(f"{PATH}/{name}/similar?limit=1")["items"]) == 1

    def until_seen(self, server: MediaryServer, name: str) -> None:
        """Ask until the picture is read, which happens beside the answers."""
        while (status := ask(server, f"/{name}/similar")[0]) != 200:
            assert status == 409

    @pytest.mark.parametrize(
        ("known", "said"),
        [
            ({"kind": "image", "media_type": "image/png"}, "not read yet"),
            ({"kind": "image", "media_type": "image/png", "problem": "it is cut off"}, "it is cut off"),
            ({"kind": "audio", "media_type": "audio/mpeg"}, "audio/mpeg"),
            ({"kind": "video", "media_type": "video/mp4", "read": WHOLE}, "video/mp4"),
        ],
    )
    def test_why_there_is_nothing_to_compare(self, known: dict[str, Any], said: str) -> None:
        with pytest.raises(ConflictError, match=said):
            check_comparable(MediaItem(name="x.png", size=1, **known))

    def test_an_item_that_is_not_there(self, server: MediaryServer) -> None:
        assert error_of(server, "/none.png/similar")[0] == 404

    @pytest.mark.parametrize("limit", ["0", "501", "x", "-1"])
    def test_nonsense_is_a_400(self, server: MediaryServer, limit: str) -> None:
        assert error_of(server, f"/{NOON}/similar?limit={limit}")[0] == 400

    def test_a_sound_looks_like_nothing(self, server: MediaryServer) -> None:
        status, message = error_of(server, f"/{LATE}/similar")
        assert status == 409
        assert "audio" in message


def test_the_openapi_document_describes_every_path_and_field(server: MediaryServer) -> None:
    document = server.get_json("/openapi.json")

    assert set(document["paths"][PATH]) == {"get", "post"}
    assert set(document["paths"][PATH + "/{name}"]) == {"get", "patch", "delete"}
    assert "/search/{tokens}" in document["paths"]
    schemas = document["components"]["schemas"]
    assert {ref.rpartition("/")[2] for ref in re.findall(r"#/components/schemas/\w+", json.dumps(document))} <= set(
        schemas
    )
    assert set(schemas["Item"]["properties"]) == set(ask(server, f"/{NOON}")[1]) > set(schemas["Item"]["example"])


def test_what_was_made_from_a_picture_knows_it(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data") as server:
        draw = {"provider": "Local", "model": "picture", "width": 16, "height": 16}
        [first] = media_urls(server.converse("A hill", **draw))
        look = {"type": "image_url", "image_url": {"url": first}}

        [second] = media_urls(
            server.converse(
                messages=[{"role": "user", "content": [{"type": "text", "text": "Bluer"}, look]}],
                headers={"x-user": "anna"}, seed=7, steps=20, negative_prompt="clouds", **draw,
            )
        )  # fmt: skip

        item = server.get_json(PATH + second.removeprefix("/media"))
        assert item["parent"] == first.removeprefix("/media/")
        assert (item["prompt"], item["negative_prompt"]) == ("Bluer", "clouds")
        assert (item["provider"], item["model"], item["seed"], item["steps"]) == ("Local", "picture", "7", 20)
        assert item["owner"] == "anna"
        first_item = server.get_json(PATH + first.removeprefix("/media"))
        assert (first_item["parent"], first_item["owner"], first_item["seed"]) == (None, None, None)


def written(garbage: bytes | str) -> bytes:
    return garbage.encode("utf-8", "replace") if isinstance(garbage, str) else garbage


@settings(max_examples=100, deadline=None)
@given(
    name=st.text(max_size=15) | st.binary(max_size=8) | st.sampled_from([NOON, CYRILLIC]),
    rest=st.sampled_from(["", "/similar", "/restore", "/", "?trashed=true"]),
    method=st.sampled_from(["GET", "PATCH", "DELETE", "POST"]),
)
def test_no_name_is_a_500(server: MediaryServer, name: str | bytes, rest: str, method: str) -> None:
    if method == "DELETE" and name in (NOON, CYRILLIC):
        method = "GET"
    with server.open(f"{PATH}/{quote(written(name), safe='')}{rest}", {}, method=method) as response:
        assert response.status < 500, response.read()


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*Listing.model_fields, "from", "to"]),
        st.text(max_size=10) | st.integers(-5, 2**70).map(str) | st.sampled_from(["name", "1e9", "9999-12-31"]),
    )
)
def test_no_filter_is_a_500(server: MediaryServer, parameters: dict[str, str]) -> None:
    query = "&".join(f"{name}={quote(value, safe='', errors='replace')}" for name, value in parameters.items())
    assert ask(server, f"?{query}")[0] in (200, 400)


@given(st.lists(st.text(max_size=120), max_size=80))
def test_tags_are_clean_or_refused(tags: list[str]) -> None:
    try:
        cleaned = clean_tags(tags)
    except FieldError:
        return
    assert len(set(cleaned)) == len(cleaned) <= MOST_TAGS
    assert all(tag == tag.strip() and 0 < len(tag) <= LONGEST_TAG for tag in cleaned)
    assert clean_tags(cleaned) == cleaned


@given(st.text(max_size=30) | st.datetimes().map(str) | st.dates().map(str) | st.floats().map(str))
def test_a_time_is_read_or_refused(text: str) -> None:
    try:
        first, last = read_time("from", text), read_time("from", text, last=True)
    except BadRequestError:
        return
    assert first <= last < first + DAY
