"""Files to providers, each once: looked up, waited for, or sent."""

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import structs

from mediary.errors import ConflictError, NotFoundError, ProviderError
from mediary.tasks import unbroken
from mediary.tracing import Value, traced
from mediary.uploads.base import Account, Credentials, File, Flow, Progress, Removes
from mediary.uploads.delivery.delivery import Cleaning, Delivery, may_pass, take_back
from mediary.uploads.delivery.flights import Flights
from mediary.uploads.delivery.holding import Holding
from mediary.uploads.records.entry import Entry, Forgotten, Sending, Unfinished, Upload, UploadPage

if TYPE_CHECKING:
    from mediary.sealing import Sealer
    from mediary.uploads.records.cache import UploadCache

NONE = Credentials()


@dataclass(slots=True, frozen=True)
class _Errand:
    """A file's way; `key` is what it will be found by, `claim` who sends it."""

    flow: Flow[Any]
    account: Account
    model: str | None
    key: str
    claim: str
    resumable: bool
    waiting: Callable[[], None]

    def sending(self, file: File) -> Sending:
        """What others may know of it."""
        return Sending(self.flow.name, self.flow.flow, self.account.id, file.name, file.size)


class Uploader:
    """The upload flows, by the names of their tables, and all that is remembered of them.

    `jar` answers with what was handed in for a base URL; `sealer` encrypts unfinished uploads: without one, none is
    written down.
    """

    def __init__(
        self,
        flows: Mapping[str, Flow[Any]],
        cache: "Callable[[], Awaitable[UploadCache]]",
        *,
        jar: Callable[[str], Awaitable[Credentials]] | None = None,
        sealer: "Callable[[], Awaitable[Sealer]] | None" = None,
    ) -> None:
        self.flows = flows
        self._cache = cache
        self._jar = jar
        self._sealer = sealer
        self._flights: Flights[Upload] = Flights()
        self._cleaning = Cleaning()

    def get(self, name: str) -> Flow[Any]:
        """The flow of that name, in any case; NotFoundError names what there is."""
        known = (flow for own, flow in self.flows.items() if own.casefold() == name.casefold())
        if (flow := self.flows.get(name) or next(known, None)) is not None:
            return flow
        near = get_close_matches(name, self.flows, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(self.flows) or 'none'}"
        raise NotFoundError(f"There is no place {name!r} to upload to; {hint}")

    async def account(self, flow: Flow[Any], credentials: Credentials = NONE) -> Account:
        """Who asks: what came with the request, or else what was handed in for the site; the settings fill the gaps."""
        # One or the other: half of each would be two people.
        if self._jar and flow.takes_cookies and not (credentials.api_key or credentials.cookies):
            credentials = await self._jar(flow.transport.base_url)
        return flow.account(credentials)

    async def find(self, flow: Flow[Any], file: File, account: Account, model: str | None = None) -> Upload | None:
        """The upload of that file, if it was sent already and may be used for a while yet."""
        found = await (await self._cache()).find(_key(flow, file, account, model), flow.policy)
        return found and _named(found, file)

    async def upload(
        self,
        flow: Flow[Any],
        file: File,
        credentials: Credentials = NONE,
        *,
        model: str | None = None,
        progress: Progress = lambda _: None,
        resumable: bool = False,
        waiting: Callable[[], None] = lambda: None,
    ) -> Upload:
        """Have the file at the provider: it is sent if it is not there yet, once for all who want it at that moment.

        UnsupportedTypeError and TooLargeError before any request; ProviderError with the provider's words. A
        `resumable` upload that is interrupted is gone on with by the next one of the same file. `waiting` is told if
        another process sends that file just now.
        """
        flow.takes(model).check(flow.label, file.name, file.media_type, file.size)
        account = await self.account(flow, credentials)
        if found := await self.find(flow, file, account, model):
            return found
        key = _key(flow, file, account, model)
        # What is not to be used again is not shared either.
        own = key if flow.policy.enabled else f"{key} {secrets.token_hex(8)}"
        errand = _Errand(flow, account, model, key, key if resumable else own, resumable, waiting)
        about: dict[str, Value] = {"mediary.provider": flow.name, "mediary.flow": flow.flow, "file.size": file.size}
        with traced("upload", about, client=True):
            return _named(await self._flights.join(own, file, partial(self._run, errand), progress), file)

    async def void(self, upload: Upload) -> None:
        """Forget an upload that the provider does not know any more."""
        await (await self._cache()).remove(upload.id)

    async def list(self, provider: str | None = None, cursor: str | None = None, limit: int = 50) -> UploadPage:
        """What lies where, newest first, in pages; BadRequestError for a cursor or limit that is none."""
        return await (await self._cache()).list(provider, cursor, limit)

    async def unfinished(self, provider: str | None = None) -> Sequence[Unfinished]:
        """What was left in the middle and can be gone on with, or is on its way so that it could be; newest first."""
        return await (await self._cache()).claims.list(provider)

    async def forget(self, id: str, credentials: Credentials = NONE) -> Forgotten:  # noqa: A002 - what it is
        """Forget an upload here, and remove the file there if that can be done; NotFoundError if there is none.

        Of an unfinished one, what has arrived is removed; ConflictError while it is on its way.
        """
        cache = await self._cache()
        if (left := await cache.claims.find(id)) is not None:
            return await self._drop(left, credentials)
        entry = await cache.get(id)
        forgotten = await self._remove(entry, credentials)
        await cache.remove(id)
        await cache.claims.forget(entry.key)
        return forgotten

    async def close(self) -> None:
        """End the uploads that are on their way, and clear away behind them what can be cleared away in a moment."""
        self._cleaning.hasten()
        await self._flights.close()

    async def _run(self, errand: _Errand, file: File, progress: Progress) -> Upload:
        """Send a file, unless another process has it on its way: then wait for that."""
        cache = await self._cache()
        flow = errand.flow
        holding = Holding(cache.claims, errand.claim, errand.sending(file), self._sealer, writes=errand.resumable)
        delivery = Delivery(flow, file, errand.account, errand.model, progress, holding.begin, cleaning=self._cleaning)
        keep = False
        try:
            await holding.take(errand.waiting)
            # Whoever held the claim before may just have finished.
            if found := await cache.find(errand.key, flow.policy):
                return found
            delivery.ticket = await holding.ticket(flow.ticket_type)
            if holding.is_old:
                await delivery.give_up()
            async with holding.kept(lambda: delivery.ticket):
                uploaded = await delivery.run()
                upload = Upload("", flow.name, flow.flow, uploaded, cached=False, created=time.time())
                # From here on it is there, and has to be known.
                return await cache.add(Entry(upload, errand.key, errand.account.id), flow.policy)
        except asyncio.CancelledError:
            keep = errand.resumable
            raise
        except ProviderError as error:
            keep = errand.resumable and may_pass(error)
            raise
        finally:
            await unbroken(_end(holding, delivery, keep=keep))

    async def _remove(self, entry: Entry, credentials: Credentials) -> Forgotten:
        """Remove a file at the provider, if that can be done."""
        upload = entry.upload
        flow = self.flows.get(upload.provider)
        if flow is None or flow.flow != upload.flow:
            return _unknown(upload)
        if not isinstance(flow, Removes):
            return Forgotten(removed=False, reason=f"{flow.label} has no way to remove a file")
        try:
            account = await self.account(flow, credentials)
            if account.id != entry.account:
                return _anothers(flow)
            await flow.remove(upload.file, account)
        except ProviderError as error:
            return Forgotten(removed=False, reason=error.message)
        return Forgotten(removed=True)

    async def _drop(self, left: Unfinished, credentials: Credentials) -> Forgotten:
        """Remove what has arrived of an unfinished upload, and what is written down of it."""
        flow = self.flows.get(left.sending.provider)
        holding = Holding((await self._cache()).claims, left.key, left.sending, self._sealer, writes=False)
        if not await holding.try_to_take():
            raise ConflictError(f"{left.sending.name} is on its way just now: stop that first")
        try:
            if flow is None or flow.flow != left.sending.flow:
                return _unknown(left.sending)
            account = await self.account(flow, credentials)
            if account.id != left.sending.account:
                return _anothers(flow)
            return await take_back(flow, account, await holding.ticket(flow.ticket_type))
        except ProviderError as error:
            return Forgotten(removed=False, reason=error.message)
        finally:
            await holding.end()


def _unknown(there: Upload | Sending) -> Forgotten:
    return Forgotten(removed=False, reason=f"the settings know no {there.provider} of the flow {there.flow}")


def _anothers(flow: Flow[Any]) -> Forgotten:
    return Forgotten(removed=False, reason=f"{flow.label} has it for another account than this one")


async def _end(holding: Holding, delivery: Delivery, *, keep: bool) -> None:
    """Clear up behind an upload, however it went: what is kept is for the next who wants it."""
    if not (keep and holding.writes and delivery.is_worth_keeping):
        await delivery.give_up()
    await holding.end(delivery.ticket)


def _key(flow: Flow[Any], file: File, account: Account, model: str | None) -> str:
    """What an upload is found by: the same bytes, for the same account of the same service, for the same use."""
    name = file.name if flow.names_matter else None
    meant = model if flow.models_matter else None, *(getattr(flow.options, key) for key in flow.options_matter)
    parts = (flow.flow, flow.transport.base_url, account.id, file.md5, file.sha256, name, *meant)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _named(upload: Upload, file: File) -> Upload:
    """The upload under the name that the file has now: the bytes may have been sent under another."""
    return replace(upload, file=structs.replace(upload.file, name=file.name))
