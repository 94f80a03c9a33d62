"""What every upload flow must do: subclass `FlowContract`, give it a `flow` fixture (pytest, pytest-asyncio)."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mediary.database.engine import Database
from mediary.errors import MissingAuthError, ProviderError
from mediary.uploads.base import (
    Abandons,
    Account,
    Attaches,
    CachePolicy,
    CleansUp,
    Credentials,
    File,
    Flow,
    Removes,
    UploadedFile,
)
from mediary.uploads.contents import BytesContent
from mediary.uploads.delivery.uploader import Uploader
from mediary.uploads.records.cache import MARGIN, UploadCache

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49"
    "444154789c63f8dfc0000004010180c52a185d0000000049454e44ae426082"
)
"""A PNG of one pixel."""
WIRES = ("openai", "anthropic", "gemini", "openai_responses", "local")
TEXT = "What is in these files, “really”?"


def make_file(data: bytes, name: str = "one pixel.png", media_type: str = "image/png", **size: int) -> File:
    """A file of these bytes; `width` and `height` for pictures."""
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return File(name, media_type, BytesContent(data), md5, hashlib.sha256(data).hexdigest(), **size)


@dataclass
class Told:
    """A progress that keeps what it is told."""

    sent: list[int] = field(default_factory=list)

    def __call__(self, sent: int) -> None:
        """Keep it."""
        self.sent.append(sent)


async def send(
    flow: Flow[Any], file: File, account: Account, model: str | None = None, told: Told | None = None
) -> UploadedFile:
    """Ticket, bytes, receipt: as the uploader does it, once, with nothing in between but a process that ends."""
    ticket = await flow.ticket(file, account, model)
    ticket = msgspec.json.decode(msgspec.json.encode(ticket), type=flow.ticket_type)
    sent = await ticket.sender.send(flow.transport, file, told or Told())
    return await flow.receipt(file, account, ticket, sent)


@pytest.mark.asyncio
class FlowContract:
    """The promises of `uploads.base.Flow`, each a test.

    Override `flow`, and of the other fixtures those that do not fit; each says what it is.
    """

    @pytest.fixture
    def flow(self) -> Flow[Any]:
        """The flow under test, with an account in its settings and a service that answers."""
        pytest.fail("the contract of an upload flow needs a `flow` fixture", pytrace=False)

    @pytest.fixture
    def file(self) -> File:
        """A file that it takes."""
        return make_file(PICTURE, width=1, height=1)

    @pytest.fixture
    def model(self) -> str | None:
        """The model that files are uploaded for, where that matters."""
        return None

    @pytest.fixture
    def credentials(self) -> Credentials:
        """Whose files they are; none: the account of the settings."""
        return Credentials()

    @pytest.fixture
    def others(self) -> Credentials:
        """The credentials of somebody else; the service need not know them."""
        return Credentials(api_key="somebody-elses-key", cookies={"session": "somebody-elses-session"})

    @pytest.fixture
    def nobody(self) -> Flow[Any] | None:
        """The flow with a table that holds no credentials; None where it needs none."""
        return None

    @pytest.fixture
    def secret(self) -> str | None:
        """The key or cookie that the flow's settings hold."""
        return None

    @pytest.fixture
    def stored(self) -> Callable[[UploadedFile], Awaitable[bytes]] | None:
        """Reads what lies with the service."""
        return None

    @pytest.fixture
    def account(self, flow: Flow[Any], credentials: Credentials) -> Account:
        """The account."""
        return flow.account(credentials)

    async def test_it_says_who_it_is(self, flow: Flow[Any]) -> None:
        """Names are words, a ticket can be written down, and the cache knows what to do."""
        assert all(isinstance(word, str) and word for word in (flow.flow, flow.name, flow.label))
        assert isinstance(flow.names_matter, bool)
        assert isinstance(flow.models_matter, bool)
        assert isinstance(flow.takes_cookies, bool)
        assert all(hasattr(flow.options, key) for key in flow.options_matter)
        assert isinstance(flow.policy, CachePolicy)
        assert issubclass(flow.ticket_type, msgspec.Struct)

    async def test_it_says_what_it_takes(self, flow: Flow[Any], file: File, model: str | None) -> None:
        """Patterns of media types, and a size; the file at hand is taken."""
        takes = flow.takes(model)
        assert takes.types
        assert all("/" in pattern or pattern == "*" for pattern in takes.types)
        assert takes.max_bytes is None or takes.max_bytes > 0
        takes.check(flow.label, file.name, file.media_type, file.size)

    async def test_an_account_is_told_from_others(
        self, flow: Flow[Any], credentials: Credentials, others: Credentials
    ) -> None:
        """The same credentials are the same account, others are another, and its id gives nothing away."""
        account, again, other = flow.account(credentials), flow.account(credentials), flow.account(others)
        assert account.id == again.id != other.id
        for value in (*account.headers.values(), *other.headers.values()):
            assert value not in repr(account) + repr(other) + account.id + other.id

    async def test_it_wants_credentials(self, nobody: Flow[Any] | None) -> None:
        """Without any, the error says what to hand in, before any request."""
        if nobody is None:
            return
        with pytest.raises(MissingAuthError) as caught:
            nobody.account(Credentials())
        assert nobody.name in caught.value.message

    async def test_it_carries_a_file(
        self,
        flow: Flow[Any],
        account: Account,
        file: File,
        model: str | None,
        stored: Callable[[UploadedFile], Awaitable[bytes]] | None,
    ) -> None:
        """The file is there, whole, and what is told of it is true and can be written down."""
        told = Told()
        uploaded = await send(flow, file, account, model, told)
        _check_uploaded(uploaded, file)
        assert told.sent[-1] == file.size
        assert all(0 <= sent <= file.size for sent in told.sent)
        if stored:
            assert await stored(uploaded) == await _bytes(file)

    async def test_a_name_may_be_of_any_script(
        self, flow: Flow[Any], account: Account, file: File, model: str | None
    ) -> None:
        """Quotes and what is not Latin arrive, or at least do no harm."""
        name = "日本語 “ü” \"a\" 'b' %41;b=c.png"
        _check_uploaded(await send(flow, replace(file, name=name), account, model), file)

    async def test_it_carries_many_at_once(
        self,
        flow: Flow[Any],
        account: Account,
        file: File,
        model: str | None,
        stored: Callable[[UploadedFile], Awaitable[bytes]] | None,
    ) -> None:
        """Uploads that run together do not mix."""
        data = await _bytes(file)
        files = [make_file(data + bytes([number]), f"{number}.png", file.media_type) for number in range(8)]
        uploads = await asyncio.gather(*(send(flow, file, account, model) for file in files))
        assert len({upload.id for upload in uploads}) == len(files)
        if stored:
            assert [await stored(upload) for upload in uploads] == [await _bytes(file) for file in files]

    async def test_the_uploader_carries_it_once(
        self, flow: Flow[Any], file: File, model: str | None, credentials: Credentials, tmp_path: Path
    ) -> None:
        """Who wants it at the same moment waits, and who wants it later has it, for as long as it is good."""
        database = await Database.open(tmp_path / "uploads.db")
        cache = UploadCache(database)

        async def opened() -> UploadCache:
            return cache

        uploader = Uploader({flow.name: flow}, opened)
        try:
            wanted = (uploader.upload(flow, file, credentials, model=model) for _ in range(4))
            first, *rest = await asyncio.gather(*wanted)
            if flow.policy.enabled:
                assert {upload.file.id for upload in rest} == {first.file.id}
            ends = first.file.expires_at
            if flow.policy.enabled and first.file.reusable and (ends is None or ends > time.time() + 2 * MARGIN):
                later = await uploader.upload(flow, file, credentials, model=model)
                assert later.cached
                assert later.file == first.file
        finally:
            await uploader.close()
            await database.close()

    async def test_it_makes_a_message(self, flow: Flow[Any], account: Account, file: File, model: str | None) -> None:
        """A message holds the text and points to each file; without files it is the text alone."""
        uploads = [await send(flow, file, account, model) for _ in range(2)]
        message = _written(flow.message(uploads, TEXT))
        assert TEXT in _texts(message)
        for upload in uploads:
            assert any(upload.id in text or (upload.url and upload.url in text) for text in _texts(message))
        assert TEXT in _texts(_written(flow.message([], TEXT)))

    async def test_it_points_to_a_file_in_conversations(
        self, flow: Flow[Any], account: Account, file: File, model: str | None
    ) -> None:
        """Where it can, a part points to the file, and a refusal that is about something else is told apart."""
        if not isinstance(flow, Attaches):
            return
        wires = [wire for wire in WIRES if flow.attaches(file.media_type, wire)]
        assert wires, "a flow that attaches does so on some wire; give a `file` of a type that it attaches"
        uploaded = await send(flow, file, account, model)
        for wire in wires:
            texts = _texts(_written(flow.part(uploaded, wire)))
            assert any(uploaded.id in text or (uploaded.url and uploaded.url in text) for text in texts)
        assert all(isinstance(value, str) for value in flow.question_headers.values())
        for words in ("", "Rate limit reached, try again in 20 s", "maximum context length exceeded"):
            assert not flow.is_unknown(uploaded, words)

    async def test_it_removes_a_file(self, flow: Flow[Any], account: Account, file: File, model: str | None) -> None:
        """Where it can; one that is gone already is as good."""
        if not isinstance(flow, Removes):
            return
        uploaded = await send(flow, file, account, model)
        await flow.remove(uploaded, account)
        await flow.remove(uploaded, account)

    async def test_what_is_given_up_is_cleared_away(
        self, flow: Flow[Any], account: Account, file: File, model: str | None
    ) -> None:
        """A ticket that nobody used can be taken back, and the next upload works."""
        ticket = await flow.ticket(file, account, model)
        if isinstance(ticket.sender, CleansUp):
            await ticket.sender.abort(flow.transport)
        if isinstance(flow, Abandons):
            await flow.abandon(account, ticket)
        _check_uploaded(await send(flow, file, account, model), file)

    async def test_it_keeps_credentials_to_itself(
        self, flow: Flow[Any], others: Credentials, file: File, model: str | None, secret: str | None
    ) -> None:
        """No error and no `repr` holds a key or a cookie, of the settings or of a request, nor what signs a link."""
        shown = [repr(flow), repr(others)]
        for account in (flow.account(Credentials()), flow.account(others)):
            try:
                ticket = await flow.ticket(file, account, model)
                shown += [repr(account), repr(ticket)]
                links = [text.partition("?")[2] for text in _texts(msgspec.to_builtins(ticket)) if "://" in text]
                assert not any(signed and signed in repr(ticket) for signed in links)
                sent = await ticket.sender.send(flow.transport, file, Told())
                shown.append(repr(await flow.receipt(file, account, ticket, sent)))
            except ProviderError as error:
                shown += [str(error), repr(error)]
        for hidden in (others.api_key, *others.cookies.values(), secret):
            assert hidden is None or hidden not in "".join(shown)


def _check_uploaded(uploaded: UploadedFile, file: File) -> None:
    """What holds for every file that was taken."""
    assert uploaded.id
    assert uploaded.name
    assert (uploaded.media_type, uploaded.size) == (file.media_type, file.size)
    assert uploaded.expires_at is None or uploaded.expires_at > time.time()
    assert msgspec.json.decode(msgspec.json.encode(uploaded), type=UploadedFile) == uploaded


async def _bytes(file: File) -> bytes:
    return b"".join([piece async for piece in file.content.read()])


def _written(value: dict[str, Any]) -> dict[str, Any]:
    """The same, as it comes out of JSON."""
    assert isinstance(value, dict)
    read: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return read


def _texts(value: Any) -> list[str]:
    """All texts in a JSON value."""
    match value:
        case str():
            return [value]
        case dict():
            return [text for item in value.values() for text in _texts(item)]
        case list():
            return [text for item in value for text in _texts(item)]
        case _:
            return []
