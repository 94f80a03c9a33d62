"""A small upload protocol and its service, in which a test decides what goes wrong."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
from aiohttp import web
from msgspec import Struct

from mediary.errors import ProviderError, UploadDamagedError
from mediary.providers.base import Takes
from mediary.settings import UploadSettings
from mediary.uploads.base import Account, Credentials, File, Progress, Sent, UploadedFile
from mediary.uploads.flow import BaseFlow, Options
from mediary.uploads.transport import Slice, Transport, persistently

KEY = "secret-of-ann"
PART = 4


@dataclass
class Service:
    """Takes files in three steps: a ticket, the bytes (whole, or in parts of four bytes), the receipt.

    `answers` holds what is answered next instead, by step: `ticket`, `part`, `receipt`, `remove`. A part waits for
    `gate`; `arrived` is set when one has to, `left` when its connection is gone. To remove parts waits for
    `hears`, and `told` is set before.
    Storage that sees credentials refuses.
    """

    url: str = ""
    tickets: int = 0
    parts: list[str] = field(default_factory=list)
    receipts: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    begun: dict[str, dict[int, bytes]] = field(default_factory=dict)
    aborted: list[str] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)
    answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    stop_after: int | None = None
    """Close the gate before the part behind so many."""
    expires_at: float | None = None
    damage: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    hears: asyncio.Event = field(default_factory=asyncio.Event)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, step: str, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer so the next time somebody comes to that step."""
        self.answers.setdefault(step, []).append((status, headers, body))

    def _said(self, step: str) -> web.Response | None:
        queue = self.answers.get(step)
        if not queue:
            return None
        status, headers, body = queue.pop(0)
        return web.Response(status=status, headers=headers, body=body)

    async def ticket(self, request: web.Request) -> web.Response:
        self.tickets += 1
        if said := self._said("ticket"):
            return said
        if request.headers.get("Authorization") not in (f"Bearer {KEY}", "Bearer secret-of-bob"):
            return web.json_response({"error": {"message": "who are you?"}}, status=401)
        name = f"file-{self.tickets}"
        self.begun[name] = {}
        return web.json_response({"id": name, "url": f"{self.url}/store/{name}"})

    async def part(self, request: web.Request) -> web.Response:
        name, number = request.match_info["name"], int(request.match_info["number"])
        if request.headers.keys() & {"Authorization", "Cookie"} or request.content_length is None:
            return web.Response(status=400, text="credentials, or no length")
        if len(self.parts) == self.stop_after:
            self.gate.clear()
        if not self.gate.is_set():
            self.arrived.set()
        try:
            await self.gate.wait()
            body = await request.read()
        except asyncio.CancelledError:
            self.left.set()
            raise
        self.parts.append(f"{name}/{number}")
        if said := self._said("part"):
            return said
        if name not in self.begun:
            return web.Response(status=404, text="no such upload")
        self.begun[name][number] = body
        return web.Response(status=201)

    async def abort(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.aborted.append(name)
        self.told.set()
        await self.hears.wait()
        return web.Response(status=204 if self.begun.pop(name, None) is not None else 404)

    async def receipt(self, request: web.Request) -> web.Response:
        self.receipts += 1
        if said := self._said("receipt"):
            return said
        name = request.match_info["name"]
        if name not in self.begun:
            return web.json_response({"error": {"message": "no such upload"}}, status=404)
        parts = self.begun.pop(name)
        self.files[name] = b"".join(parts[number] for number in sorted(parts))
        self.damage -= 1
        md5 = "0" * 32 if self.damage >= 0 else hashlib.md5(self.files[name]).hexdigest()
        return web.json_response({"md5": md5, "expires_at": self.expires_at})

    async def remove(self, request: web.Request) -> web.Response:
        if said := self._said("remove"):
            return said
        return web.Response(status=204 if self.files.pop(request.match_info["name"], None) is not None else 404)

    async def abandon(self, request: web.Request) -> web.Response:
        self.abandoned.append(request.match_info["name"])
        return web.Response(status=204)


@asynccontextmanager
async def serving() -> AsyncIterator[Service]:
    """The service, on loopback; its gate is open."""
    service = Service()
    service.gate.set()
    service.hears.set()
    app = web.Application()
    app.router.add_post("/tickets", service.ticket)
    app.router.add_delete("/tickets/{name}", service.abandon)
    app.router.add_put("/store/{name}/{number}", service.part)
    app.router.add_delete("/store/{name}", service.abort)
    app.router.add_post("/files/{name}", service.receipt)
    app.router.add_delete("/files/{name}", service.remove)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield service
    finally:
        await runner.cleanup()


class Parts(Struct):
    """Sends parts of four bytes, one after the other; `done` are those that arrived."""

    url: str
    done: list[int] = []

    async def send(self, transport: Transport, file: File, progress: Progress) -> Sent:
        for number in range(-(-file.size // PART)):
            if number not in self.done:
                start, end = number * PART, min(number * PART + PART, file.size)
                body = Slice(file.content, start, end)
                await persistently(lambda body=body, n=number: transport.store("PUT", f"{self.url}/{n}", body=body))
                self.done.append(number)
                progress(end)
        return Sent()

    def is_worth_keeping(self) -> bool:
        return bool(self.done)

    async def abort(self, transport: Transport) -> None:
        await transport.store("DELETE", self.url)


class Whole(Struct):
    """Sends all in one piece, and leaves nothing behind when it is given up."""

    url: str

    async def send(self, transport: Transport, file: File, progress: Progress) -> Sent:
        body = Slice(file.content, progress=progress)
        return (await persistently(lambda: transport.store("PUT", f"{self.url}/0", body=body))).sent


class PartsTicket(Struct):
    id: str
    sender: Parts


class WholeTicket(Struct):
    id: str
    sender: Whole


class PlainOptions(Options):
    limit: int | None = None
    purpose: str | None = None


class _Ticket(Struct):
    id: str
    url: str


class _Receipt(Struct):
    md5: str
    expires_at: float | None = None


class Simple(BaseFlow[PlainOptions]):
    """Files in one piece, which nobody goes on with, and which stay where they are."""

    flow = "simple"
    options_type = PlainOptions
    ticket_type: ClassVar[Any] = WholeTicket
    sender_type: ClassVar[Any] = Whole

    def takes(self, model: str | None = None) -> Takes:
        return Takes(("image/*", "text/plain"), self.options.limit)

    def account(self, credentials: Credentials) -> Account:
        return self.make_account({"Authorization": f"Bearer {self.key_of(credentials)}"})

    async def ticket(self, file: File, account: Account, model: str | None = None) -> Any:
        asked = {"name": file.name, "size": file.size}
        answer = await self.transport.api("POST", "/tickets", account, json=asked)
        given = self.transport.read(msgspec.json.Decoder(_Ticket), answer)
        return self.ticket_type(given.id, self.sender_type(given.url))

    async def receipt(self, file: File, account: Account, ticket: Any, sent: Sent) -> UploadedFile:
        answer = await self.transport.api("POST", f"/files/{ticket.id}", account, json={})
        told = self.transport.read(msgspec.json.Decoder(_Receipt), answer)
        if told.md5 != file.md5:
            raise UploadDamagedError(f"{self.name}: the MD5 differs")
        return UploadedFile(
            id=ticket.id,
            name=file.name,
            media_type=file.media_type,
            size=file.size,
            entry={"file": ticket.id},
            expires_at=told.expires_at,
        )

    def message(self, files: Sequence[UploadedFile], text: str) -> dict[str, Any]:
        return {"files": [file.entry for file in files], "text": text}


class Plain(Simple):
    """Files in parts, with which another process may go on; they can be removed, and tickets taken back."""

    flow = "plain"
    ticket_type: ClassVar[Any] = PartsTicket
    sender_type: ClassVar[Any] = Parts

    async def remove(self, file: UploadedFile, account: Account) -> None:
        try:
            await self.transport.api("DELETE", f"/files/{file.id}", account)
        except ProviderError as error:
            if "404" not in error.message:
                raise

    async def abandon(self, account: Account, ticket: Any) -> None:
        await self.transport.api("DELETE", f"/tickets/{ticket.id}", account)


class Named(Plain):
    """The same bytes under another name are another file here, and for another model or purpose too."""

    flow = "named"
    names_matter = True
    models_matter = True
    options_matter = ("purpose",)


def table(url: str, **keys: Any) -> UploadSettings:
    """A table of the settings."""
    return UploadSettings(**{"flow": "plain", "base_url": url, "api_key": KEY, **keys})
