"""The requests of uploads: who gets the credentials, what is tried again, and in which words it fails."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.clock import Jump, jump
from tests.net.names import client_with
from tests.servers.faulty import Cut, Early, Faulty, Lose, Say, faulty, refusal
from tests.servers.http import RawServer, raw_server, redirect, reset, response
from tests.servers.scripted import Asked, Line, Scripted, said, scripted, whole
from tests.uploads.contents import PIECE, Bytes, Pattern

from mediary.errors import (
    AddressRefusedError,
    ChallengeError,
    MissingAuthError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
    UnreadableError,
    UploadBrokenOffError,
    UploadRefusedError,
)
from mediary.net.client import HttpClient
from mediary.uploads import transport as module
from mediary.uploads.base import Account, Content
from mediary.uploads.transport import ATTEMPTS, SECONDS, Slice, Transport, discreet, persistently

__all__ = ["jump"]

TOKEN = "token-of-ann-0123456789"
ACCOUNT = Account({"Authorization": f"Bearer {TOKEN}", "Cookie": "session=c00kie-of-ann"})
SIGNED = "sig=GMx0yZb3%2BqN%2Fw%3D%3D&se=2026-01-02T03%3A04%3A05Z"


@pytest.fixture
async def service() -> AsyncIterator[Scripted]:
    async with scripted() as service:
        yield service


@pytest.fixture
async def storage() -> AsyncIterator[Scripted]:
    async with scripted() as storage:
        yield storage


@pytest.fixture
async def raw() -> AsyncIterator[RawServer]:
    async with raw_server() as server:
        yield server


@pytest.fixture
def transport(http: HttpClient, service: Scripted) -> Transport:
    return Transport("Web", http, f"{service.origin}/base")


def moved(to: str, status: int = 307) -> Any:
    return whole(b"", f"Location: {to}", status=status)


def credentials_in(asked: Asked) -> set[str]:
    return {"authorization", "cookie"} & set(asked.headers)


# The provider's own API


async def test_the_api_is_asked_below_the_base_url_with_the_account(transport: Transport, service: Scripted):
    service.play(said({"id": 7}))
    answer = await transport.api("POST", "/files?x=1", ACCOUNT, json={"ü": 1}, headers={"X-More": "yes"})
    (asked,) = service.asked
    assert (asked.method, asked.path, asked.json) == ("POST", "/base/files?x=1", {"ü": 1})
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["x-more"] == "yes"
    assert msgspec.json.decode(answer.body) == {"id": 7}


async def test_a_whole_url_of_the_api_is_asked_with_the_account(transport: Transport, service: Scripted):
    service.play(said({}))
    await transport.api("GET", f"{service.origin}/elsewhere", ACCOUNT)
    assert service.asked[0].path == "/elsewhere"
    assert credentials_in(service.asked[0])


async def test_a_whole_url_of_another_origin_gets_no_credentials(transport: Transport, storage: Scripted):
    storage.play(said({}))
    await transport.api("GET", f"{storage.origin}/elsewhere", ACCOUNT)
    assert not credentials_in(storage.asked[0])


async def test_a_redirect_within_the_origin_keeps_the_credentials(transport: Transport, service: Scripted):
    service.play(moved("/there"), said({}))
    await transport.api("POST", "/here", ACCOUNT, json=[1])
    assert [asked.path for asked in service.asked] == ["/base/here", "/there"]
    assert all(credentials_in(asked) and asked.json == [1] for asked in service.asked)


async def test_a_redirect_to_another_origin_drops_the_credentials_for_good(
    transport: Transport, service: Scripted, storage: Scripted
):
    service.play(moved(f"{storage.origin}/x"), said({"back": True}))
    storage.play(moved(f"{service.origin}/back", 308))
    await transport.api("POST", "/here", ACCOUNT, json={})
    assert credentials_in(service.asked[0])
    assert not credentials_in(storage.asked[0])
    assert service.asked[1].path == "/back"
    assert not credentials_in(service.asked[1])


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_post_is_not_made_a_get_by_a_redirect(transport: Transport, service: Scripted, status: int):
    service.play(moved("/there", status))
    with pytest.raises(ProviderError, match=f"redirects \\({status}\\)"):
        await transport.api("POST", "/here", ACCOUNT, json={})
    assert len(service.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_get_follows_every_redirect(transport: Transport, service: Scripted, status: int):
    service.play(moved("there?a=1", status), said({}))
    await transport.api("GET", "/here", ACCOUNT)
    assert service.asked[1].path == "/base/there?a=1"


async def test_redirects_end(transport: Transport, service: Scripted):
    service.play(moved("/again"))
    with pytest.raises(ProviderError, match="more than 5 redirects"):
        await transport.api("GET", "/here", ACCOUNT)
    assert len(service.asked) == module.MAX_REDIRECTS + 1


@pytest.mark.parametrize("target", ["http://[", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://a:b/"])
async def test_a_redirect_to_nowhere(transport: Transport, service: Scripted, target: str):
    service.play(moved(target))
    with pytest.raises(ProviderError, match="points to what is no http"):
        await transport.api("GET", "/here", ACCOUNT)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ProviderError),
        (401, MissingAuthError),
        (403, MissingAuthError),
        (404, ProviderError),
        (409, ProviderError),
        (429, RateLimitError),
        (500, ProviderUnavailableError),
        (503, ProviderUnavailableError),
    ],
)
async def test_a_refusal_has_the_services_words_and_no_secret(
    transport: Transport, service: Scripted, status: int, kind: type[ProviderError]
):
    words = f"Not you, {TOKEN} with c00kie-of-ann: https://h.example/blob?{SIGNED} is shut"
    service.play(said({"detail": words}, status))
    with pytest.raises(kind) as caught:
        await transport.api("POST", "/files", ACCOUNT, json={})
    assert type(caught.value) is kind
    assert str(caught.value) == "Web: Not you, … with …: https://h.example/blob?… is shut"
    assert caught.value.message == str(caught.value)
    assert len(service.asked) == 1


async def test_a_refusal_without_a_word_says_the_status(transport: Transport, service: Scripted):
    service.play(whole(b"", status=418))
    with pytest.raises(ProviderError, match="418"):
        await transport.api("POST", "/files", ACCOUNT, json={})


async def test_a_rate_limit_says_how_long_to_wait(transport: Transport, service: Scripted):
    service.play(said({"detail": "slowly"}, 429, "Retry-After: 17"))
    with pytest.raises(RateLimitError, match="slowly") as caught:
        await transport.api("POST", "/files", ACCOUNT, json={})
    assert caught.value.retry_after == 17
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "play",
    [
        whole(b"<title>hello</title>", "cf-mitigated: challenge", status=403),
        whole(b"<html><title>Just a moment...</title></html>", status=403),
        whole(b'<script src="/cdn-cgi/challenge-platform/h/g/x.js">', status=503),
        whole(b'{"error": "Turnstile token missing"}', status=401),
    ],
)
async def test_who_wants_proof_of_a_browser_gets_none(transport: Transport, service: Scripted, play: Any):
    service.play(play)
    with pytest.raises(ChallengeError, match="sign in there with a browser"):
        await transport.api("POST", "/files", ACCOUNT, json={})
    assert len(service.asked) == 1


async def test_words_about_challenges_in_a_good_answer_are_words(transport: Transport, service: Scripted):
    service.play(said({"name": "captcha.png"}))
    assert (await transport.api("POST", "/files", ACCOUNT, json={})).status == 200


async def test_a_service_has_its_own_way_to_say_no(transport: Transport, service: Scripted):
    service.play(said({"success": False}))
    with pytest.raises(RateLimitError) as caught:
        await transport.api("POST", "/files", ACCOUNT, json={}, refused=lambda _: RateLimitError(f"no, {TOKEN}"))
    assert str(caught.value) == "no, …"


async def test_expected_statuses_are_good_answers(transport: Transport, service: Scripted, storage: Scripted):
    service.play(said([1], 404))
    storage.play(whole(b"", "Range: bytes=0-9", status=308))
    assert (await transport.api("GET", "/files", ACCOUNT, expected={404})).status == 404
    assert (await transport.store("PUT", storage.origin, body=b"", expected={308})).headers["range"] == "bytes=0-9"


async def test_an_answer_is_read_or_said_to_be_unreadable(transport: Transport, service: Scripted):
    decoder = msgspec.json.Decoder(dict[str, int])
    service.play(said({"a": 1}), said({"a": "b"}), whole(b"<html>"))
    assert transport.read(decoder, await transport.api("GET", "/", ACCOUNT)) == {"a": 1}
    for _ in range(2):
        answer = await transport.api("GET", "/", ACCOUNT)
        with pytest.raises(ProviderError, match="its answer cannot be read"):
            transport.read(decoder, answer)


async def test_an_api_that_hangs_up_is_asked_a_second_time(transport: Transport, service: Scripted, no_delays: None):
    async def hang_up(_: Asked, line: Line) -> None:
        line.reset()

    service.play(hang_up, said({}))
    assert (await transport.api("POST", "/files", ACCOUNT, json={})).status == 200
    service.play(hang_up)
    with pytest.raises(ProviderUnavailableError):
        await transport.api("POST", "/files", ACCOUNT, json={})
    assert len(service.asked) == 2


async def test_an_answer_that_breaks_off(transport: Transport, service: Scripted, no_delays: None):
    async def half(_: Asked, line: Line) -> None:
        await line.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id":')
        line.reset()

    service.play(half)
    with pytest.raises(StreamInterruptedError):
        await transport.api("POST", "/files", ACCOUNT, json={})
    assert len(service.asked) == 2


async def test_a_body_that_is_read_from_somewhere_is_not_sent_twice(transport: Transport, service: Scripted):
    async def hang_up(_: Asked, line: Line) -> None:
        line.reset()

    service.play(hang_up)
    with pytest.raises(UploadBrokenOffError) as caught:
        await transport.api("POST", "/files", ACCOUNT, body=Slice(Bytes(b"hello")))
    assert caught.value.whole
    assert [asked.body for asked in service.asked] == [b"hello"]


async def test_a_provider_may_take_its_time(transport: Transport, service: Scripted, jump: Jump):
    heard, go_on = asyncio.Event(), asyncio.Event()

    async def late(asked: Asked, line: Line) -> None:
        heard.set()
        await go_on.wait()
        await said({"late": True})(asked, line)

    service.play(late)
    asking = asyncio.create_task(transport.api("POST", "/files", ACCOUNT, json={}))
    await heard.wait()
    jump(SECONDS - 15)
    for _ in range(5):
        await asyncio.sleep(0)
    assert SECONDS > 45
    assert not asking.done()
    go_on.set()
    assert (await asking).status == 200


async def test_its_patience_has_an_end_that_can_be_set(transport: Transport, service: Scripted, jump: Jump):
    heard = asyncio.Event()

    async def silent(_: Asked, __: Line) -> None:
        heard.set()
        await asyncio.Event().wait()

    service.play(silent)
    asking = asyncio.create_task(transport.api("POST", "/", ACCOUNT, json={}, seconds=1000.0))
    await heard.wait()
    jump(SECONDS * 2)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not asking.done()
    jump(1001.0)
    with pytest.raises(ProviderTimeoutError, match="did not answer in time"):
        await asking


# The storage


async def test_a_signed_url_is_asked_for_to_the_letter(transport: Transport, storage: Scripted):
    storage.play(whole(b"", status=201))
    target = f"/a%2Fb/%C3%BC/./c;d=1?{SIGNED}&a=%7Eb+c%20d&empty=&bare"
    await transport.store("PUT", storage.origin + target, body=b"x", headers={"Content-Type": "image/png"})
    assert storage.asked[0].path == target


async def test_what_no_request_line_can_hold_is_quoted(transport: Transport, storage: Scripted):
    storage.play(whole(b"", status=201))
    await transport.store("PUT", f"{storage.origin}/ü b\r\nX-Evil: 1?{SIGNED}", body=b"x")
    assert storage.asked[0].path == f"/%C3%BC%20b%0D%0AX-Evil:%201?{SIGNED}"
    assert "x-evil" not in storage.asked[0].headers


@pytest.mark.parametrize("url", ["", "no url", "/relative", "ftp://h/x", "http://[", "http://", "javascript:1"])
async def test_a_ticket_that_leads_nowhere(transport: Transport, url: str):
    with pytest.raises(ProviderError, match="points to what is no http"):
        await transport.store("PUT", url, body=b"x")


async def test_a_body_goes_out_with_its_length_and_no_type_of_our_own(transport: Transport, storage: Scripted):
    storage.play(whole(b"", status=201))
    await transport.store("PUT", f"{storage.origin}/b", body=Slice(Pattern(3 * PIECE), PIECE // 2, 2 * PIECE + 9))
    (asked,) = storage.asked
    assert asked.headers["content-length"] == str(PIECE + PIECE // 2 + 9) == str(len(asked.body))
    assert "transfer-encoding" not in asked.headers
    assert "content-type" not in asked.headers
    whole_file = b"".join(Pattern(3 * PIECE).piece(number) for number in range(3))
    assert asked.body == whole_file[PIECE // 2 : 2 * PIECE + 9]


async def test_an_empty_body_has_a_length_too(transport: Transport, storage: Scripted):
    storage.play(whole(b"", status=201))
    await transport.store("PUT", f"{storage.origin}/b", body=Slice(Bytes(b"")))
    assert storage.asked[0].headers["content-length"] == "0"
    assert "transfer-encoding" not in storage.asked[0].headers


async def test_a_slice_tells_how_much_of_the_file_is_out(transport: Transport, storage: Scripted):
    storage.play(whole(b"", status=201))
    told: list[int] = []
    await transport.store("PUT", f"{storage.origin}/b", body=Slice(Bytes(bytes(100), piece=10), 50, 85, told.append))
    assert told == [60, 70, 80, 85]


async def test_the_storage_gets_no_credentials_though_it_is_the_apis_own_host(transport: Transport, service: Scripted):
    service.play(whole(b"", status=201))
    await transport.store("PUT", f"{service.origin}/blob", body=b"x")
    assert not credentials_in(service.asked[0])


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (b"", (), ""),
        (b"", ("x-ms-error-code: InvalidHeader",), ": InvalidHeader"),
        (
            b"<?xml version='1.0'?><Error><Code>AuthFailed</Code><Message>No.\nReally &amp;c.</Message></Error>",
            (),
            ": AuthFailed: No. Really &c.",
        ),
        (b'{"error": {"message": "no"}}', (), ": no"),
        (b"plainly no", (), ": plainly no"),
    ],
)
async def test_a_refusal_of_the_storage_says_what_it_said(
    transport: Transport, storage: Scripted, body: bytes, headers: tuple[str, ...], words: str
):
    storage.play(whole(body, *headers, status=400))
    with pytest.raises(UploadRefusedError) as caught:
        await transport.store("PUT", f"{storage.origin}/b?{SIGNED}", body=b"x")
    assert str(caught.value) == f"Web: the storage answered 400{words}"
    assert caught.value.answered == 400


async def test_a_refusal_of_the_storage_repeats_no_signature(transport: Transport, storage: Scripted):
    secret = "GMx0yZb3qNw0123456789+/"
    body = f"<Code>No</Code><Message>{secret} at https://h.example/b?sig={secret} with tok3n-0123456789-abc</Message>"
    storage.play(whole(body.encode(), status=403))
    url, headers = f"{storage.origin}/b?sig=GMx0yZb3qNw0123456789%2B%2F", {"x-token": "tok3n-0123456789-abc"}
    with pytest.raises(UploadRefusedError) as caught:
        await transport.store("PUT", url, body=b"x", headers=headers)
    assert str(caught.value) == "Web: the storage answered 403: No: … at https://h.example/b?… with …"


async def test_a_redirect_takes_the_body_along(transport: Transport, service: Scripted, storage: Scripted):
    service.play(moved(f"{storage.origin}/there?{SIGNED}"))
    storage.play(whole(b"", status=201))
    await transport.store("PUT", f"{service.origin}/b", body=Slice(Bytes(b"hello")), headers={"Content-Type": "a/b"})
    assert storage.asked[0].path == f"/there?{SIGNED}"
    assert storage.asked[0].body == b"hello"
    assert storage.asked[0].headers["content-type"] == "a/b"


async def test_a_storage_off_the_internet_is_not_asked_without_leave(service: Scripted, storage: Scripted):
    async with client_with() as client:
        transport = Transport("Web", client, service.origin)
        with pytest.raises(AddressRefusedError) as caught:
            await transport.store("PUT", f"{storage.origin}/b?{SIGNED}", body=Slice(Bytes(b"x")))
        assert SIGNED not in str(caught.value)
        service.play(moved(f"{storage.origin}/b"))
        with pytest.raises(AddressRefusedError):
            await transport.api("POST", "/files", ACCOUNT, json={})
        service.play(whole(b"", status=201))
        await transport.store("PUT", f"{service.origin}/b", body=b"x")  # the operator's own origin needs none
    assert not storage.asked


# Bodies that do not get there


@pytest.fixture
async def proxy(storage: Scripted) -> AsyncIterator[Faulty]:
    storage.play(whole(b"", status=201))
    async with faulty(storage.port) as proxy:
        yield proxy


@pytest.mark.parametrize("share", [0, 0.5])
async def test_a_connection_that_breaks_on_the_way(transport: Transport, proxy: Faulty, share: float):
    proxy.once(Cut(share))
    with pytest.raises(UploadBrokenOffError) as caught:
        await transport.store("PUT", f"{proxy.url}/b?{SIGNED}", body=Slice(Pattern(64 * PIECE)))
    assert not caught.value.whole
    assert SIGNED not in str(caught.value)
    assert caught.value.retryable


async def test_an_answer_that_is_lost(transport: Transport, proxy: Faulty, storage: Scripted):
    proxy.once(Lose())
    with pytest.raises(UploadBrokenOffError) as caught:
        await transport.store("PUT", f"{proxy.url}/b", body=Slice(Pattern(3 * PIECE)))
    assert caught.value.whole
    assert len(storage.asked[0].body) == 3 * PIECE


@pytest.mark.parametrize("then", ["read on", "hang up"])
async def test_a_refusal_before_the_body_is_out(transport: Transport, proxy: Faulty, then: Any, no_delays: None):
    proxy.plan = lambda _: Early(refusal(413, "too much"), then)
    body = Slice(Pattern(64 * PIECE))
    # Whoever hangs up may take his answer with him, once in a while: there are three attempts.
    with pytest.raises(UploadRefusedError, match="answered 413: too much"):
        await persistently(lambda: transport.store("PUT", f"{proxy.url}/b", body=body))


async def test_a_yes_before_the_body_is_out_is_none(transport: Transport, proxy: Faulty):
    proxy.once(Early(response(b"", status=201)))
    with pytest.raises(ProviderError, match=r"was content with \d+ of 67108864 bytes"):
        await transport.store("PUT", f"{proxy.url}/b", body=Slice(Pattern(64 * PIECE)))


class Stuck:
    """Content that hands out one piece, and then waits for good."""

    size = 2 * PIECE

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        self.closed = asyncio.Event()

    async def read(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        try:
            yield bytes(PIECE)
            self.waits.set()
            await asyncio.Event().wait()
        finally:
            self.closed.set()


async def test_an_upload_that_is_cancelled_in_the_middle_of_a_read(transport: Transport, proxy: Faulty):
    content = Stuck()
    sending = asyncio.create_task(transport.store("PUT", f"{proxy.url}/b", body=Slice(content)))
    await content.waits.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert content.closed.is_set()


async def test_a_source_that_stands_still_is_given_up(transport: Transport, proxy: Faulty, jump: Jump):
    content = Stuck()
    sending = asyncio.create_task(transport.store("PUT", f"{proxy.url}/b", body=Slice(content), seconds=30))
    await content.waits.wait()
    jump(31)
    with pytest.raises(ProviderTimeoutError):
        await sending
    assert content.closed.is_set()


async def test_a_refusal_while_the_source_stands_still(transport: Transport, raw: RawServer):
    raw.answers["/b"] = refusal(403, "no")
    content = Stuck()
    with pytest.raises(UploadRefusedError, match="403: no"):
        await transport.store("PUT", f"{raw.url}/b", body=Slice(content))
    assert content.closed.is_set()


async def test_a_file_that_changed_is_no_broken_connection(transport: Transport, storage: Scripted):
    class Changed:
        size = 10

        async def read(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
            yield b"hello"
            raise UnreadableError("a.png has changed")

    storage.play(whole(b"", status=201))
    content: Content = Changed()
    with pytest.raises(UnreadableError, match="has changed"):
        await persistently(lambda: transport.store("PUT", f"{storage.origin}/b", body=Slice(content)))
    assert not storage.asked


# Trying again


@pytest.mark.usefixtures("no_delays")
async def test_what_breaks_is_sent_again(transport: Transport, proxy: Faulty, storage: Scripted):
    proxy.first(Cut(0.5), Say(refusal(503, "busy")))
    content = Bytes(bytes(PIECE))
    answer = await persistently(lambda: transport.store("PUT", f"{proxy.url}/b", body=Slice(content)))
    assert answer.status == 201
    assert len(proxy.received) == 3
    assert len(storage.asked[-1].body) == PIECE


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_attempts_end(transport: Transport, storage: Scripted, status: int):
    storage.play(whole(b"", status=status))
    with pytest.raises(UploadRefusedError, match=str(status)):
        await persistently(lambda: transport.store("PUT", f"{storage.origin}/b", body=b"x"))
    assert len(storage.asked) == ATTEMPTS


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413, 501])
async def test_a_plain_no_is_not_asked_again(transport: Transport, storage: Scripted, status: int):
    storage.play(whole(b"", status=status))
    with pytest.raises(UploadRefusedError):
        await persistently(lambda: transport.store("PUT", f"{storage.origin}/b", body=b"x"))
    assert len(storage.asked) == 1


@pytest.mark.usefixtures("no_delays")
async def test_a_connection_that_always_breaks(transport: Transport, raw: RawServer):
    raw.answers["/b"] = reset()
    with pytest.raises(UploadBrokenOffError):
        await persistently(lambda: transport.store("PUT", f"{raw.url}/b", body=Slice(Bytes(b"x"))))
    assert len(raw.received) == ATTEMPTS


async def test_a_redirect_of_the_storage_off_the_web(transport: Transport, raw: RawServer):
    raw.answers["/b"] = redirect("gopher://127.0.0.1/x", 307)
    with pytest.raises(ProviderError, match="points to what is no http"):
        await transport.store("PUT", f"{raw.url}/b", body=b"x")


# Words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://a.b/c?sig=1&x=2 there", "see https://a.b/c?… there"),
        ('{"upload_url":"https:\\/\\/a.b\\/c?sig=1"}', '{"upload_url":"https:\\/\\/a.b\\/c?…"}'),
        ("HTTPS://A.B?sig=1", "HTTPS://A.B?…"),
        ("what? https://a.b/c and http://d/?x", "what? https://a.b/c and http://d/?…"),
        ("x" * 1000, "x" * 599 + "…"),
    ],
)
def test_words_without_signatures(text: str, expected: str):
    assert discreet(text) == expected
