"""Carries the files of a question to its provider: each the way that the provider takes it, and no bytes twice."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING

from mediary.conversations.attaching.held import Held
from mediary.conversations.attaching.places import Place
from mediary.conversations.attaching.trip import Carried, Plan, Seen, Trip, as_text
from mediary.conversations.attaching.ways import Ways
from mediary.events import Log
from mediary.providers.base import Provider, TurnRequest
from mediary.settings import ConversationSettings
from mediary.tasks import unbroken
from mediary.uploads.base import Credentials

if TYPE_CHECKING:
    from mediary.uploads.delivery.uploader import Uploader


class Carrier:
    """Decides for each file how it goes, and takes it there. Without an `uploader` all go within the question."""

    def __init__(self, settings: ConversationSettings, uploader: "Uploader | None" = None) -> None:
        self._settings = settings
        self._uploader = uploader
        self._seen = Seen()

    def may_upload(self, files: Mapping[Place, Held], provider: Provider, request: TurnRequest) -> bool:
        """Whether one of the files may have to be uploaded, which takes as long as it takes."""
        ways = self._ways(provider, request)
        return ways.flow is not None and any(map(ways.has_upload, files.values()))

    async def plan(self, files: Mapping[Place, Held], provider: Provider, request: TurnRequest) -> Plan:
        """What there is to do; UnsupportedTypeError or TooLargeError for what cannot be done, before anything is sent.

        Only users bring files: those of other messages are left out.
        """
        messages, ways = request.messages, self._ways(provider, request)
        plan = Plan(ways, Credentials(request.api_key), left=ways.together)
        for place, file in files.items():
            if messages[place.message].role != "user":
                continue
            if ways.has_inline(file) or ways.has_upload(file):
                plan.files[place] = file
            elif ways.has_text(file):
                plan.texts[place] = await as_text(file)
            else:
                raise ways.refusal(file)
            plan.left -= 0 if ways.has_upload(file) else file.size
            if plan.left < 0:
                raise ways.overflow()
        return plan

    def _ways(self, provider: Provider, request: TurnRequest) -> Ways:
        # Where the request itself says where to ask, the operator's uploads are of no use.
        uploader = None if request.base_url else self._uploader
        return Ways.to(provider, request.model, self._settings.max_attachment_bytes, uploader)

    async def carry(self, plan: Plan) -> AsyncGenerator[Log | Carried, None]:
        """Say what happens, and last give what was carried. Uploads are stopped when the generator is closed."""
        carried = Carried(plan.left, {place: [text] for place, text in plan.texts.items()})
        async with aclosing(self._travel(plan, carried, plan.files)) as travelling:
            async for log in travelling:
                yield log
        yield carried

    def lost(self, plan: Plan, carried: Carried, words: str) -> list[Place]:
        """The remembered uploads of which the provider says in these words that it does not know them."""
        flow = plan.ways.flow
        cached = ((place, upload.file) for place, upload in carried.uploads.items() if upload.cached)
        return [place for place, file in cached if flow and flow.is_unknown(file, words)]

    async def carry_again(self, plan: Plan, carried: Carried, places: Collection[Place]) -> AsyncGenerator[Log, None]:
        """Upload anew what was lost; the new uploads take the place of the old in what was carried."""
        assert self._uploader
        for place in places:
            upload = carried.uploads.pop(place)
            yield Log(log=f"{plan.ways.provider.label} does not know {upload.file.name} any more")
            await self._uploader.void(upload)
        files = {place: plan.files[place] for place in places}
        async with aclosing(self._travel(plan, carried, files)) as travelling:
            async for log in travelling:
                yield log

    async def _travel(self, plan: Plan, carried: Carried, files: Mapping[Place, Held]) -> AsyncGenerator[Log, None]:
        trip = Trip(plan, carried, self._uploader, self._seen, self._settings.inline_bytes)
        work = asyncio.create_task(trip.go(files))
        work.add_done_callback(lambda _: trip.told.put_nowait(None))
        try:
            while (log := await trip.told.get()) is not None:
                yield log
            await work
        finally:
            work.cancel()
            await unbroken(asyncio.wait([work]))
