"""Turns on their way: each is a run, whose events are stored while a client reads along."""

import asyncio
from collections.abc import AsyncGenerator

from mediary.conversations.turn import Turn
from mediary.errors import FieldError, MediaryError, RunCancelledError, ShutdownError
from mediary.events import Event, ProviderChosen, frame
from mediary.runs.room import Runs
from mediary.runs.run import Frames, Run
from mediary.server.long_answers import STOPPING, Running
from mediary.server.protocol import Send
from mediary.server.sse import EventStream, Form, Making, frame_error

RUN_ID = b"x-run-id"
CANCELLED = "the run was cancelled"

Events = AsyncGenerator[Event, None]
Gone = asyncio.Task[None]


class RunningTurns:
    """Begins the run of a turn, and sends its events to who asked and to who comes back for them."""

    def __init__(self, runs: Runs, running: Running) -> None:
        self._runs = runs
        self._running = running

    def check_detaching(self) -> None:
        """FieldError where no turn can go on without its client, for nobody could read it later."""
        if not self._runs.keeps:
            raise FieldError("detach", "events are not kept here: the setting runs.keep_hours is 0")

    async def attached(self, turn: Turn, events: Events, gone: Gone, send: Send) -> None:
        """Answer; the run ends when the client leaves."""
        run = self._begin(turn)
        stream = EventStream(events, _recorded(run), turn.seconds)
        run.cancel = lambda: stream.end(RunCancelledError(CANCELLED))
        try:
            with self._running.hold(stream):
                await stream.send(gone, send, [(RUN_ID, run.id.encode())])
        finally:
            run.end()

    async def detached(self, turn: Turn, events: Events, gone: Gone, send: Send) -> None:
        """Answer with numbered events; the run goes on to its end also when the client leaves."""
        run = self._begin(turn)
        going_on = _GoingOn(run, events, turn.seconds)
        with self._running.hold(going_on):
            try:
                await self.follow(run.id, 0, gone, send)
            finally:
                await going_on.ended()

    async def follow(self, run_id: str, after: int, gone: Gone, send: Send) -> None:
        """Send the events of a run behind a number, and those to come; NotFoundError for a run that is not kept."""
        info = await self._runs.get_kept(run_id)
        if info.ended is not None and after >= info.events:
            # an event source would come back for ever, but for this
            await send({"type": "http.response.start", "status": 204, "headers": [(RUN_ID, run_id.encode())]})
            await send({"type": "http.response.body", "body": b""})
            return
        stream = EventStream(self._runs.events(run_id, after), _NUMBERED)
        with self._running.hold(stream):
            await stream.send(gone, send, [(RUN_ID, run_id.encode())])

    def _begin(self, turn: Turn) -> Run:
        return self._runs.begin(turn.id, turn.provider.name, turn.request.model, turn.user)


class _GoingOn:
    """A run that needs no client; the end of the server ends it."""

    def __init__(self, run: Run, events: Events, timeout: float | None) -> None:
        self._making = Making(events, _recorded(run), lambda recorded: None, timeout)
        self._making.task.add_done_callback(lambda _: run.end())
        run.cancel = lambda: self._making.end(RunCancelledError(CANCELLED))

    async def ended(self) -> None:
        """Wait for its end."""
        await self._making.ended()

    def stop(self) -> None:
        """End it: the server is going down."""
        self._making.end(ShutdownError(STOPPING))

    def abandon(self) -> None:
        """There is no client to let go of."""


def _recorded(run: Run) -> Form[Event]:
    """The form of events that become those of a run."""

    def record(event: Event) -> bytes:
        if type(event) is ProviderChosen:
            run.answered_by(event.provider.name, event.provider.model)
        written = frame(event)
        run.append(written)
        return written

    def record_error(error: MediaryError) -> bytes:
        written = frame_error(error)
        run.append(written)
        return written

    return Form(record, record_error)


def _numbered(found: Frames) -> bytes:
    """Events with their numbers, from which a browser goes on by itself after its connection broke."""
    return b"".join(b"id: %d\n%b" % numbered for numbered in enumerate(found.frames, found.first))


_NUMBERED = Form(_numbered, frame_error)
