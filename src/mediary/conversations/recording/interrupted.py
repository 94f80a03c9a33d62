"""What is recorded of turns that a crash broke off: what their events tell."""

from collections.abc import AsyncIterator

from mediary.conversations.recording.measure import Measure
from mediary.conversations.recording.recorder import Measured, Recorder
from mediary.errors import RunInterruptedError
from mediary.events import Failure, frame, read_frame
from mediary.runs.run import Frames, RunInfo

BROKEN_OFF = frame(
    Failure(
        error=RunInterruptedError.__name__, message="the server stopped in the middle of this answer; ask once more"
    )
)
"""The last event of such a turn."""


class Interruptions:
    """Writes the usage record that a turn's process could not write any more."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def record(self, run: RunInfo, found: AsyncIterator[Frames]) -> None:
        """Record what an interrupted run used, as far as its events were stored."""
        measure = Measure(run.provider, run.model, created=run.created)
        async for frames in found:
            for written in frames.frames:
                measure.see(read_frame(written))
        measure.interrupt()
        await self._recorder.write(Measured(run.id, run.user, measure))
