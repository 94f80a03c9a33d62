"""Google's Files API: the same requests as the official SDK's, and what goes wrong on the way."""

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.clock import jump
from tests.servers.gemini import KEY, OTHER_KEY, GeminiPeer, gemini_peer
from tests.servers.scripted import Scripted, said, scripted
from tests.uploads.contents import PIECE, Pattern, file_of, nothing

from mediary.errors import (
    MissingAuthError,
    ProviderError,
    ProviderTimeoutError,
    SettingsError,
    TooLargeError,
    UnsupportedTypeError,
    UploadBrokenOffError,
    UploadDamagedError,
)
from mediary.net.client import HttpClient
from mediary.settings import UploadSettings
from mediary.testing.uploads import FlowContract
from mediary.uploads.base import Abandons, Attaches, Credentials, File, Removes, Sent, UploadedFile
from mediary.uploads.gemini_files import MAX_BYTES, GeminiFiles, GeminiTicket, _GeminiFile, _sha256_of

__all__ = ["jump"]

pytestmark = pytest.mark.usefixtures("no_delays")

DATA = b"%PDF-1.7\n" + bytes(range(256)) * 40
PDF = file_of(DATA, 'Bericht "März".pdf', "application/pdf")
FILM = file_of(Pattern(20 * PIECE + 17), "sea.mp4", "video/mp4")


@pytest.fixture
async def peer() -> AsyncIterator[GeminiPeer]:
    async with gemini_peer() as peer:
        yield peer


@pytest.fixture
async def service() -> AsyncIterator[Scripted]:
    async with scripted() as service:
        yield service


@pytest.fixture
def sdk(peer: GeminiPeer) -> Iterator[genai.Client]:
    options = genai_types.HttpOptions(base_url=peer.origin, api_version="v1beta")
    with genai.Client(api_key=KEY, http_options=options) as client:
        yield client


def make(http: HttpClient, base_url: str, **own: Any) -> GeminiFiles:
    fields = {"poll_seconds": 0.001, **own}
    table = UploadSettings(flow="gemini_files", base_url=base_url, api_key=SecretStr(KEY), **fields)
    return GeminiFiles("Gemini", table, http)


async def upload(flow: GeminiFiles, file: File = PDF, key: str | None = None) -> UploadedFile:
    account = flow.account(Credentials(key))
    ticket = await flow.ticket(file, account)
    return await flow.receipt(file, account, ticket, await ticket.sender.send(flow.transport, file, nothing))


async def test_the_official_client_takes_the_peer_for_google(sdk: genai.Client, peer: GeminiPeer, tmp_path: Any):
    """What this proves is the peer: the SDK uploads in chunks, asks, questions and deletes."""
    path = tmp_path / "film.mp4"
    data = bytes(range(256)) * 4096 * 9
    path.write_bytes(data)
    file = await asyncio.to_thread(sdk.files.upload, file=str(path), config={"display_name": "film", "name": "my-film"})
    assert (file.name, file.state.name, file.size_bytes) == ("files/my-film", "ACTIVE", len(data))
    assert base64.b64decode(file.sha256_hash).decode() == hashlib.sha256(data).hexdigest()
    assert peer.asked == [
        "POST /upload/v1beta/files start",
        "POST /sessions/0 upload",
        "POST /sessions/0 upload, finalize",
    ]
    found = await asyncio.to_thread(sdk.files.get, name=file.name)
    assert found.expiration_time.timestamp() > time.time()
    answer = await asyncio.to_thread(
        sdk.models.generate_content, model="gemini-2.5-flash", contents=["What is it?", found]
    )
    assert answer.text == f"What is it?; video/mp4 of {len(data)} bytes"
    await asyncio.to_thread(sdk.files.delete, name=file.name)
    with pytest.raises(genai_errors.ClientError, match="may not exist"):
        await asyncio.to_thread(sdk.files.get, name=file.name)


async def test_ours_is_found_by_the_official_client(http: HttpClient, sdk: genai.Client, peer: GeminiPeer):
    uploaded = await upload(make(http, peer.base_url))
    found = await asyncio.to_thread(sdk.files.get, name=uploaded.id)
    assert (found.display_name, found.mime_type, found.size_bytes) == (PDF.name, "application/pdf", len(DATA))
    part = genai_types.Part.model_validate(uploaded.entry)
    answer = await asyncio.to_thread(sdk.models.generate_content, model="m", contents=[part])
    assert answer.text == f"application/pdf of {len(DATA)} bytes"


@pytest.mark.parametrize(
    ("path", "version"), [("/v1beta", "v1beta"), ("/v1", "v1"), ("", "v1beta"), ("/", "v1beta"), ("/v1beta/", "v1beta")]
)
async def test_where_it_asks(http: HttpClient, peer: GeminiPeer, path: str, version: str):
    peer.polls = 1
    await upload(make(http, peer.origin + path))
    assert peer.asked[0] == f"POST /upload/{version}/files start"
    assert peer.asked[-1].startswith(f"GET /{version}/files/")


async def test_behind_a_gateway(http: HttpClient, service: Scripted):
    service.play(said({"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}, 400))
    flow = make(http, f"{service.origin}/gate/google/v1beta")
    with pytest.raises(ProviderError, match="Gemini: no"):
        await flow.ticket(PDF, flow.account(Credentials()))
    assert service.asked[0].path == "/gate/google/upload/v1beta/files"


async def test_what_comes_of_it(http: HttpClient, peer: GeminiPeer):
    picture = file_of(b"\x89PNG" + DATA, "a.png", width=3, height=2)
    flow = make(http, peer.base_url)
    assert not flow.names_matter  # Google has them as labels: one film is one upload, whatever it is called
    uploaded = await upload(flow, picture)
    assert (uploaded.name, uploaded.media_type, uploaded.size) == ("a.png", "image/png", len(DATA) + 4)
    assert (uploaded.width, uploaded.height, uploaded.reusable, uploaded.url) == (3, 2, True, None)
    assert uploaded.expires_at == pytest.approx(time.time() + 48 * 3600, abs=60)
    uri = f"{peer.base_url}/{uploaded.id}"
    assert uploaded.entry == {"fileData": {"mimeType": "image/png", "fileUri": uri}}


async def test_a_large_file_in_chunks_that_break(http: HttpClient, peer: GeminiPeer):
    peer.cuts = [0, 11 * PIECE, 20 * PIECE + 1]
    uploaded = await upload(make(http, peer.base_url), FILM)
    assert hashlib.sha256(peer.files[uploaded.id].data).hexdigest() == FILM.sha256
    assert peer.received < FILM.size + 4 * PIECE


async def test_a_lost_last_answer(http: HttpClient, peer: GeminiPeer):
    """The file is found by the name that we gave it: nothing is sent twice, nothing lies there twice."""
    peer.lost_answers = 1
    uploaded = await upload(make(http, peer.base_url), FILM)
    assert list(peer.files) == [uploaded.id]
    assert peer.received == FILM.size


async def test_it_waits_until_the_file_is_ready(http: HttpClient, peer: GeminiPeer):
    peer.polls = 4
    uploaded = await upload(make(http, peer.base_url))
    assert peer.asked.count(f"GET /v1beta/{uploaded.id}") == 4


async def test_a_file_that_is_never_ready(http: HttpClient, peer: GeminiPeer):
    peer.polls = 10**9
    flow = make(http, peer.base_url, ready_seconds=0.05)
    with pytest.raises(ProviderTimeoutError, match=r"Bericht .* is not ready after 0.05 s"):
        await upload(flow)


async def test_a_file_that_cannot_be_made_ready(http: HttpClient, peer: GeminiPeer):
    peer.polls, peer.fails = 1, f"The video of {KEY} has no frames."
    with pytest.raises(ProviderError, match=r"cannot make anything of Bericht .*: The video of … has no frames\."):
        await upload(make(http, peer.base_url))


async def test_a_bad_moment_while_it_waits(http: HttpClient, service: Scripted):
    ready = {"name": "files/a", "state": "ACTIVE", "uri": "https://g/files/a"}
    service.play(said({"error": {"message": "later"}}, 503), said(ready))
    flow = make(http, service.base_url)
    ticket = GeminiTicket(sender=None, file_name="files/a")  # type: ignore[arg-type]
    uploaded = await flow.receipt(PDF, flow.account(Credentials()), ticket, Sent())
    assert uploaded.id == "files/a"
    assert uploaded.expires_at == pytest.approx(time.time() + 48 * 3600, abs=60)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"file": {"name": "files/a", "state": "ACTIVE"}}', "does not say how to point"),
        (b'{"file": {"name": "files/a", "state": 7}}', "cannot be read"),
        (b"<html>busy</html>", "cannot be read"),
    ],
)
async def test_answers_of_another_shape(http: HttpClient, service: Scripted, body: bytes, problem: str):
    service.play(said(["no file"]))
    flow = make(http, service.base_url)
    ticket = GeminiTicket(sender=None, file_name="files/a")  # type: ignore[arg-type]
    with pytest.raises(ProviderError, match=problem):
        await flow.receipt(PDF, flow.account(Credentials()), ticket, Sent(body=body))


@pytest.mark.parametrize("name", ["files/../../models", "files/a?key=1", "x", "files/\r\nx"])
async def test_a_name_that_is_none_is_not_asked_for(http: HttpClient, service: Scripted, name: str):
    service.play(said({"name": "files/a", "state": "ACTIVE", "uri": "https://g/files/a"}))
    flow = make(http, service.base_url)
    ticket = GeminiTicket(sender=None, file_name="files/mine")  # type: ignore[arg-type]
    sent = Sent(body=msgspec.json.encode({"file": {"name": name}}))
    uploaded = await flow.receipt(PDF, flow.account(Credentials()), ticket, sent)
    assert service.asked[0].path == "/v1/files/mine"
    assert uploaded.id == "files/mine"


async def test_damage_is_told(http: HttpClient, peer: GeminiPeer):
    peer.damaged = 1
    with pytest.raises(UploadDamagedError):
        await upload(make(http, peer.base_url))


async def test_a_ticket_without_a_place(http: HttpClient, service: Scripted):
    service.play(said({}))
    flow = make(http, service.base_url)
    with pytest.raises(ProviderError, match="where to send"):
        await flow.ticket(PDF, flow.account(Credentials()))


async def test_accounts(http: HttpClient, peer: GeminiPeer):
    flow = make(http, peer.base_url)
    ours, theirs = flow.account(Credentials()), flow.account(Credentials(OTHER_KEY))
    assert ours.id != theirs.id
    assert KEY not in repr(ours)
    uploaded = await upload(flow, key=OTHER_KEY)
    assert peer.files[uploaded.id].owner == OTHER_KEY
    await flow.remove(uploaded, ours)
    assert list(peer.files) == [uploaded.id]
    bare = GeminiFiles("Gemini", UploadSettings(flow="gemini_files", base_url=peer.base_url), http)
    with pytest.raises(MissingAuthError, match="wants a key"):
        bare.account(Credentials())


async def test_a_wrong_key(http: HttpClient, peer: GeminiPeer):
    flow = make(http, peer.base_url)
    wrong = "AIza-wrong-key-0123456789"
    with pytest.raises(ProviderError, match="API key not valid") as caught:
        await upload(flow, key=wrong)
    assert wrong not in caught.value.message


async def test_removing(http: HttpClient, peer: GeminiPeer):
    flow = make(http, peer.base_url)
    assert isinstance(flow, Removes)
    uploaded = await upload(flow)
    account = flow.account(Credentials())
    await flow.remove(uploaded, account)
    assert not peer.files
    await flow.remove(uploaded, account)


async def test_removing_with_a_key_that_is_refused(http: HttpClient, service: Scripted):
    denied = {"code": 403, "message": "Your API key was reported as leaked.", "status": "PERMISSION_DENIED"}
    service.play(said({"error": denied}, 403))
    flow = make(http, service.base_url)
    with pytest.raises(MissingAuthError, match="leaked"):
        await flow.remove(UploadedFile(id="files/a", name="a", media_type="a/b", size=1), flow.account(Credentials()))


async def test_nothing_dangles_when_it_is_given_up(http: HttpClient, peer: GeminiPeer):
    flow = make(http, peer.base_url)
    assert isinstance(flow, Abandons)
    account = flow.account(Credentials())
    ticket = await flow.ticket(PDF, account)
    await ticket.sender.abort(flow.transport)
    await flow.abandon(account, ticket)
    assert peer.uploads["0"].state == "cancelled"
    ticket = await flow.ticket(PDF, account)
    await ticket.sender.send(flow.transport, PDF, nothing)
    assert peer.files
    await flow.abandon(account, ticket)
    assert not peer.files


async def test_a_ticket_survives_being_written_down(http: HttpClient, peer: GeminiPeer):
    flow = make(http, peer.base_url)
    account = flow.account(Credentials())
    ticket = await flow.ticket(FILM, account)
    peer.cuts = [9 * PIECE] * 3
    with pytest.raises(UploadBrokenOffError):
        await ticket.sender.send(flow.transport, FILM, nothing)
    written = msgspec.json.encode(ticket)
    assert KEY.encode() not in written
    peer.cuts = []
    taken_up = msgspec.json.decode(written, type=flow.ticket_type)
    sent = await taken_up.sender.send(flow.transport, FILM, nothing)
    uploaded = await flow.receipt(FILM, account, taken_up, sent)
    assert hashlib.sha256(peer.files[uploaded.id].data).hexdigest() == FILM.sha256


async def test_twenty_at_once(http: HttpClient, peer: GeminiPeer):
    flow = make(http, peer.base_url)
    files = [file_of(DATA + bytes([number]), f"{number}.pdf", "application/pdf") for number in range(20)]
    done = await asyncio.gather(*(upload(flow, file) for file in files))
    assert len({uploaded.id for uploaded in done}) == 20
    for file, uploaded in zip(files, done, strict=True):
        assert hashlib.sha256(peer.files[uploaded.id].data).hexdigest() == file.sha256


async def test_what_it_takes(http: HttpClient):
    takes = make(http, "http://g.test/v1beta").takes()
    for media_type in ("image/png", "audio/mpeg", "video/mp4", "application/pdf", "text/csv"):
        takes.check("Gemini", "a", media_type, MAX_BYTES)
    with pytest.raises(TooLargeError):
        takes.check("Gemini", "a", "video/mp4", MAX_BYTES + 1)
    for media_type in ("application/zip", "image/gif", "image/avif"):
        with pytest.raises(UnsupportedTypeError, match="application/pdf"):
            takes.check("Gemini", "a", media_type, 1)


async def test_the_message_and_its_parts(http: HttpClient):
    flow = make(http, "http://g.test/v1beta")
    assert isinstance(flow, Attaches)
    file = UploadedFile(id="files/a", name="a", media_type="a/b", size=1, entry={"fileData": {"fileUri": "u"}})
    assert flow.message([file], "Look") == {"role": "user", "parts": [{"fileData": {"fileUri": "u"}}, {"text": "Look"}]}
    assert flow.message([file], "") == {"role": "user", "parts": [{"fileData": {"fileUri": "u"}}]}
    assert flow.part(file, "gemini") == {"fileData": {"fileUri": "u"}}
    assert flow.attaches("video/mp4", "gemini")
    assert not flow.attaches("video/mp4", "openai")
    assert not flow.attaches("application/zip", "gemini")
    assert not flow.question_headers


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        ("Gemini: You do not have permission to access the File abc-1 or it may not exist.", True),
        ("You do not have permission to access the File files/abc-1 or it may not exist.", True),
        ("File 'abc-1' not found", True),
        ("File abc-1 has expired", True),
        ("You do not have permission to access the File abc-12 or it may not exist.", False),
        ("You do not have permission to access the File xyz or it may not exist.", False),
        ("models/abc-1 is not found", False),
        ("API key not valid. Please pass a valid API key.", False),
    ],
)
async def test_which_refusals_mean_that_the_file_is_gone(http: HttpClient, words: str, unknown: bool):
    file = UploadedFile(id="files/abc-1", name="a", media_type="a/b", size=1)
    assert make(http, "http://g.test/v1beta").is_unknown(file, words) is unknown


async def test_settings(http: HttpClient):
    with pytest.raises(SettingsError, match="did you mean ready_seconds"):
        make(http, "http://g.test/v1beta", ready_second=3)
    with pytest.raises(SettingsError, match="ready_seconds"):
        make(http, "http://g.test/v1beta", ready_seconds=0)


@given(st.binary(max_size=100), st.booleans())
def test_hashes_in_either_form(data: bytes, in_hex: bool):
    digest = hashlib.sha256(data)
    coded = base64.b64encode(digest.hexdigest().encode() if in_hex else digest.digest()).decode()
    assert _sha256_of(_GeminiFile(sha256_hash=coded)) == digest.hexdigest()


@given(st.text(max_size=90))
def test_any_hash(text: str):
    assert len(_sha256_of(_GeminiFile(sha256_hash=text)) or "0" * 64) == 64


class TestContract(FlowContract):
    @pytest.fixture
    def secret(self) -> str:
        return KEY

    @pytest.fixture
    def flow(self, peer: GeminiPeer, http: HttpClient) -> GeminiFiles:
        return make(http, peer.base_url)

    @pytest.fixture
    def nobody(self, peer: GeminiPeer, http: HttpClient) -> GeminiFiles:
        return GeminiFiles("Gemini", UploadSettings(flow="gemini_files", base_url=peer.base_url), http)

    @pytest.fixture
    def stored(self, peer: GeminiPeer) -> Callable[[UploadedFile], Awaitable[bytes]]:
        async def read(file: UploadedFile) -> bytes:
            return peer.files[file.id].data

        return read
