"""Chunks to a session in both of Google's forms: what is sent, where it goes on, and what is made of refusals."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers.gcs import GcsPeer, gcs_peer
from tests.servers.gemini import GRANULARITY, KEY, GeminiPeer, Upload, gemini_peer
from tests.servers.scripted import scripted, whole
from tests.uploads.contents import Bytes, file_of, nothing

from mediary.errors import (
    ProviderError,
    ProviderUnavailableError,
    UploadBrokenOffError,
    UploadDamagedError,
    UploadRefusedError,
)
from mediary.net.client import HttpClient
from mediary.uploads.base import CleansUp, File, GoesOn, Sent
from mediary.uploads.senders.resumable import CHUNK, Resumable
from mediary.uploads.transport import ATTEMPTS, Transport

pytestmark = pytest.mark.usefixtures("no_delays")

PART = GRANULARITY
DATA = bytes(range(256)) * 1024 * 3 + b"the end"
"""Three chunks and a little."""
FILE = file_of(DATA, "sea.mp4", "video/mp4")
QUESTION = "POST /sessions/0 query"
SIGNED = "upload_id=secret"


@pytest.fixture
def transport(http: HttpClient) -> Transport:
    return Transport("Shop", http, "http://api.invalid")


@pytest.fixture
async def gemini() -> AsyncIterator[GeminiPeer]:
    async with gemini_peer() as peer:
        yield peer


@pytest.fixture
async def gcs() -> AsyncIterator[GcsPeer]:
    async with gcs_peer() as peer:
        yield peer


def to_gemini(peer: GeminiPeer, file: File = FILE, **fields: Any) -> Resumable:
    """A sender to a session that is open for the file."""
    about = {"name": "files/a", "mimeType": file.media_type}
    peer.uploads["0"] = Upload(about, KEY, file.size)
    return Resumable(f"{peer.origin}/sessions/0?upload_id=secret-0", "gemini", **{"chunk": PART, **fields})


def to_gcs(peer: GcsPeer, **fields: Any) -> Resumable:
    return Resumable(peer.url, "gcs", **{"chunk": PART, **fields})


def again(sender: Resumable) -> Resumable:
    """The sender as another process reads it."""
    return msgspec.json.decode(msgspec.json.encode(sender), type=Resumable)


async def test_gemini_chunks(transport: Transport, gemini: GeminiPeer):
    told: list[int] = []
    sent = await to_gemini(gemini).send(transport, FILE, told.append)
    assert gemini.files["files/a"].data == DATA
    assert gemini.asked == [*(["POST /sessions/0 upload"] * 3), "POST /sessions/0 upload, finalize"]
    assert msgspec.json.decode(sent.body)["file"]["name"] == "files/a"
    assert sent.headers["x-goog-upload-status"] == "final"
    assert (told, told[-1]) == (sorted(told), len(DATA))


@pytest.mark.parametrize("in_headers", [False, True])
async def test_gcs_chunks(transport: Transport, gcs: GcsPeer, in_headers: bool):
    gcs.in_headers = in_headers
    told: list[int] = []
    await to_gcs(gcs).send(transport, FILE, told.append)
    assert gcs.data == DATA
    size = len(DATA)
    places = ["0-262143", "262144-524287", "524288-786431", f"786432-{size - 1}"]
    assert gcs.asked == [f"PUT bytes {place}/{size}" for place in places]
    assert (told, told[-1]) == (sorted(told), size)


async def test_one_chunk_is_eight_mebibytes_and_fits_google():
    assert CHUNK == 8 * 1024**2
    assert CHUNK % GRANULARITY == 0


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART])
async def test_any_size(transport: Transport, gemini: GeminiPeer, gcs: GcsPeer, size: int):
    file = file_of(DATA[:size])
    await to_gemini(gemini, file).send(transport, file, nothing)
    assert gemini.files["files/a"].data == DATA[:size]
    await to_gcs(gcs).send(transport, file, nothing)
    assert (gcs.state, gcs.data) == ("final", DATA[:size])


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
async def test_gemini_cut(transport: Transport, gemini: GeminiPeer, share: float):
    place = int(len(DATA) * share)
    gemini.cuts = [place]
    await to_gemini(gemini, chunk=2 * PART).send(transport, FILE, nothing)
    assert gemini.files["files/a"].data == DATA
    assert gemini.asked.count(QUESTION) == 1
    # What had arrived, to the granularity of the service, is not sent again.
    assert gemini.received <= len(DATA) + PART + 65536 * 4


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
async def test_gcs_cut(transport: Transport, gcs: GcsPeer, share: float):
    gcs.cuts = [int(len(DATA) * share)]
    await to_gcs(gcs, chunk=2 * PART).send(transport, FILE, nothing)
    assert gcs.data == DATA
    assert gcs.asked.count(f"PUT bytes */{len(DATA)}") == 1


async def test_a_lost_last_answer(transport: Transport, gemini: GeminiPeer, gcs: GcsPeer):
    gemini.lost_answers = gcs.lost_answers = 1
    sent = await to_gemini(gemini).send(transport, FILE, nothing)
    assert sent.headers["x-goog-upload-status"] == "final"
    assert gemini.asked[-1] == QUESTION
    await to_gcs(gcs).send(transport, FILE, nothing)
    assert gcs.asked[-1] == f"PUT bytes */{len(DATA)}"
    assert gemini.received == gcs.received == len(DATA)


async def test_more_progress_than_one_chunk_may_fail(transport: Transport, gemini: GeminiPeer):
    gemini.cuts = [PART + 5, 2 * PART + 5, 3 * PART + 1]
    await to_gemini(gemini).send(transport, FILE, nothing)
    assert gemini.files["files/a"].data == DATA


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_bad_moment(transport: Transport, gemini: GeminiPeer, gcs: GcsPeer, status: int):
    gemini.refusals = [status]
    gcs.refusals = [status]
    await to_gemini(gemini).send(transport, FILE, nothing)
    await to_gcs(gcs).send(transport, FILE, nothing)
    assert gemini.files["files/a"].data == gcs.data == DATA
    assert gemini.received == gcs.received == len(DATA)


async def test_bad_moments_that_do_not_end(transport: Transport, gemini: GeminiPeer):
    gemini.refusals = [503] * 20
    sender = to_gemini(gemini)
    with pytest.raises(UploadRefusedError) as caught:
        await sender.send(transport, FILE, nothing)
    assert caught.value.answered == 503
    assert "a bad moment" in caught.value.message
    assert len(gemini.asked) == ATTEMPTS


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_a_refusal_stands_at_once(transport: Transport, gemini: GeminiPeer, gcs: GcsPeer, status: int):
    gemini.refusals = [status]
    gcs.refusals = [status]
    for peer, sender in ((gemini, to_gemini(gemini)), (gcs, to_gcs(gcs))):
        with pytest.raises(UploadRefusedError) as caught:
            await sender.send(transport, FILE, nothing)
        assert caught.value.answered == status
        assert len(peer.asked) == 1
        assert SIGNED not in caught.value.message and "upload_id" not in caught.value.message


async def test_a_real_400_is_told_in_its_own_words(transport: Transport, gemini: GeminiPeer):
    sender = to_gemini(gemini)
    gemini.uploads["0"].size += 1
    with pytest.raises(UploadRefusedError, match="neither whole nor the last") as caught:
        await sender.send(transport, FILE, nothing)
    assert caught.value.answered == 400


async def test_another_process_goes_on(transport: Transport, gemini: GeminiPeer, gcs: GcsPeer):
    for peer, sender in ((gemini, to_gemini(gemini)), (gcs, to_gcs(gcs))):
        assert isinstance(sender, GoesOn)
        assert not sender.is_worth_keeping()
        stopping = Stopping(DATA, 2 * PART)
        sending = asyncio.create_task(sender.send(transport, file_of(stopping), nothing))
        await stopping.reached.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert sender.is_worth_keeping()
        await again(sender).send(transport, FILE, nothing)
        assert peer.received == len(DATA)
    assert gemini.files["files/a"].data == gcs.data == DATA


async def test_a_process_that_knows_only_the_url_goes_on(transport: Transport, gemini: GeminiPeer, gcs: GcsPeer):
    first = to_gemini(gemini)
    gemini.uploads["0"].data += DATA[: 2 * PART]
    await again(first).send(transport, FILE, nothing)
    assert gemini.files["files/a"].data == DATA
    assert gemini.received == len(DATA) - 2 * PART
    gcs.data += DATA[: 2 * PART]
    await to_gcs(gcs, unsure=True).send(transport, FILE, nothing)
    assert gcs.data == DATA
    assert gcs.received == len(DATA) - 2 * PART


@pytest.mark.parametrize(("offset", "unsure"), [(PART, True), (len(DATA), False), (0, False)])
async def test_one_that_was_whole_already(
    transport: Transport, gemini: GeminiPeer, gcs: GcsPeer, offset: int, unsure: bool
):
    await to_gemini(gemini).send(transport, FILE, nothing)
    await to_gcs(gcs).send(transport, FILE, nothing)
    late = Resumable(f"{gemini.origin}/sessions/0?upload_id=secret-0", "gemini", PART, offset, unsure)
    assert (await late.send(transport, FILE, nothing)).headers["x-goog-upload-status"] == "final"
    assert gemini.asked[-1] == QUESTION
    await to_gcs(gcs, offset=offset, unsure=unsure).send(transport, FILE, nothing)
    assert (gemini.received, gcs.received) == (len(DATA), len(DATA))


async def test_storage_that_keeps_less_than_it_took(transport: Transport, gcs: GcsPeer):
    gcs.forgets = 1000
    await to_gcs(gcs).send(transport, FILE, nothing)
    assert gcs.data == DATA


async def test_storage_that_does_not_move(transport: Transport, http: HttpClient):
    async with scripted() as service:
        service.play(whole(b"", "X-Goog-Upload-Status: active", "X-Goog-Upload-Size-Received: 0"))
        with pytest.raises(ProviderError, match=f"stays at byte 0 of {len(DATA)}"):
            await Resumable(f"{service.origin}/s", "gemini").send(transport, FILE, nothing)


@pytest.mark.parametrize(
    ("form", "headers", "status"),
    [
        ("gemini", [], 200),
        ("gemini", ["X-Goog-Upload-Status: cancelled"], 200),
        ("gemini", ["X-Goog-Upload-Status: active", "X-Goog-Upload-Size-Received: 99999999999"], 200),
        ("gcs", ["Range: bytes=5-9"], 308),
        ("gcs", ["Range: nonsense"], 308),
        ("gcs", ["Range: bytes=0-99999999999"], 308),
    ],
)
async def test_answers_that_say_nothing(transport: Transport, form: Any, headers: list[str], status: int):
    async with scripted() as service:
        service.play(whole(b"<html>", *headers, status=status))
        with pytest.raises(ProviderError, match="does not say how much"):
            await Resumable(f"{service.origin}/s", form).send(transport, FILE, nothing)


@pytest.mark.parametrize("in_headers", [False, True])
async def test_another_md5_is_damage(transport: Transport, gcs: GcsPeer, in_headers: bool):
    gcs.in_headers = in_headers
    gcs.md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    with pytest.raises(UploadDamagedError):
        await to_gcs(gcs).send(transport, FILE, nothing)


async def test_nobody_there(transport: Transport):
    sender = Resumable("http://127.0.0.1:9/s?upload_id=secret", "gcs")
    with pytest.raises(ProviderUnavailableError) as caught:
        await sender.send(transport, FILE, nothing)
    assert SIGNED not in caught.value.message


async def test_abort(transport: Transport, gemini: GeminiPeer, gcs: GcsPeer):
    for sender in (to_gemini(gemini), to_gcs(gcs)):
        assert isinstance(sender, CleansUp)
        await sender.abort(transport)
        await_again = sender.abort(transport)
        if sender.form == "gcs":
            await await_again
        else:
            with pytest.raises(UploadRefusedError):
                await await_again
    assert (gemini.uploads["0"].state, gcs.state) == ("cancelled", "gone")
    del gemini.uploads["0"]
    await Resumable(f"{gemini.origin}/sessions/0?upload_id=secret-0", "gemini").abort(transport)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from(["gemini", "gcs"]),
    size=st.integers(0, len(DATA)),
    cuts=st.lists(st.integers(0, len(DATA)), max_size=4),
    chunk=st.sampled_from([PART, 2 * PART, CHUNK]),
    lost=st.integers(0, 1),
)
async def test_whatever_breaks_it_arrives_or_fails_in_words(
    transport: Transport, no_delays: None, form: str, size: int, cuts: list[int], chunk: int, lost: int
):
    file = file_of(DATA[:size])
    opened: Callable[[], Any] = gemini_peer if form == "gemini" else gcs_peer
    async with opened() as peer:
        peer.cuts, peer.lost_answers = sorted(cut for cut in cuts if cut <= size), lost
        sender = to_gemini(peer, file, chunk=chunk) if form == "gemini" else to_gcs(peer, chunk=chunk)
        try:
            sent = await sender.send(transport, file, nothing)
        except UploadBrokenOffError:
            assert len(cuts) + lost >= ATTEMPTS
            return
        assert isinstance(sent, Sent)
        assert (peer.uploads["0"].data if form == "gemini" else peer.data) == DATA[:size]


class Stopping(Bytes):
    """Content that comes to nothing more from a place on."""

    def __init__(self, data: bytes, place: int) -> None:
        super().__init__(data, piece=65536)
        self.place = place
        self.reached = asyncio.Event()

    async def read(self, start: int = 0, end: int | None = None):
        if start >= self.place:
            self.reached.set()
            await asyncio.Event().wait()
        async for piece in super().read(start, end):
            yield piece
