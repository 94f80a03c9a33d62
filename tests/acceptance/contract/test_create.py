"""CONTRACT.md, `GET B/create`: what may be asked in a URL, and what comes back."""

from urllib.parse import urlencode

import pytest
from tests.server.bucket_client import Answer, ask
from tests.servers.contract_peers import Peers
from tests.servers.mediary import MediaryServer

SEA = "The sea is wide, and it is blue — „wie der Himmel“. 🌊"
ANSWER = 'Well:\n```python\nprint(1)\n```\n```json\n{"a": 1}\n```\nThat is all.'


def create(server: MediaryServer, prompt: str, **query: object) -> Answer:
    return ask(server, f"/backend-api/v2/create?{urlencode({'prompt': prompt, **query})}")


def text(answer: Answer) -> str:
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8"), answer.body
    return answer.body.decode()


def narrated(server: MediaryServer, peers: Peers, **query: object) -> str:
    """What becomes of the answer of a provider that speaks as it is told."""
    peers.narrator.say(ANSWER)
    peers.narrator.end()
    return text(create(server, "Tell", provider="Narrator", model="tale", **query))


def test_text(server: MediaryServer) -> None:
    assert text(create(server, "Tell me of the sea", provider="Aimock", model="gpt-4o")) == SEA
    assert text(create(server, "Tell me of the sea")) == SEA


def test_stream(server: MediaryServer) -> None:
    assert text(create(server, "Tell me of the sea", provider="Aimock", stream="true")) == SEA


@pytest.mark.parametrize(("wanted", "found"), [("true", "print(1)"), ("python", "print(1)"), ("json", '{"a": 1}')])
def test_filter_markdown(server: MediaryServer, peers: Peers, wanted: str, found: str) -> None:
    assert narrated(server, peers, filter_markdown=wanted).strip() == found


def test_json(server: MediaryServer, peers: Peers) -> None:
    answer = narrated(server, peers, json="true")

    assert answer.strip() == '{"a": 1}'


def test_cache(server: MediaryServer, peers: Peers) -> None:
    first = narrated(server, peers, cache="talk-1")

    again = text(create(server, "Tell", provider="Narrator", model="tale", cache="talk-1"))  # nobody says it again

    assert again == first == ANSWER


@pytest.mark.parametrize("wanted", ["true", "the opening hours"])
def test_web_search(server: MediaryServer, wanted: str) -> None:
    assert text(create(server, "Hello", provider="Local", web_search=wanted))


def test_a_picture(server: MediaryServer) -> None:
    before = server.get_json("/search/picture+windmill?min=1", headers={"accept": "application/json"})["total"]

    answer = create(server, "A windmill", provider="Local", model="picture", width=16, height=16)

    assert (answer.status, answer.headers["content-type"], answer.body[:4]) == (200, "image/png", b"\x89PNG")
    found = server.get_json("/search/picture+windmill?min=1", headers={"accept": "application/json"})
    assert found["total"] == before + 1
    assert server.get(found["items"][0]["url"]) == answer.body


def test_audio(server: MediaryServer) -> None:
    answer = create(server, "Hello", provider="Local", audio="true", audio_provider="Local")

    assert (answer.status, answer.headers["content-type"].partition("/")[0]) == (200, "audio")


def test_several_media(server: MediaryServer) -> None:
    lines = text(create(server, "two pictures", provider="Aimock", model="dall-e-3", n=2)).splitlines()

    assert len(lines) == 2
    assert lines[0] == "http://pictures.test/one.png"
    assert lines[1].removeprefix(server.url).startswith("/media/")


def test_what_fails_is_an_error(server: MediaryServer) -> None:
    assert create(server, "").status == 422
    assert create(server, "Hello", provider="Nobody").status == 404
    assert create(server, "Hello", provider="Says401").status == 401
    limited = create(server, "Hello", provider="Says429")
    assert (limited.status, limited.headers["retry-after"]) == (429, "7")
    assert create(server, "Hello", provider="Says500").status == 502
    assert create(server, "Hello", provider="Silent", timeout=0.2).status == 504
