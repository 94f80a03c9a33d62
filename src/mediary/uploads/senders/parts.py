"""Parts of a file that go side by side."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from mediary.tasks import all_of
from mediary.uploads.base import Progress

AT_ONCE = 4
"""Parts that are on their way at the same time."""


@dataclass(slots=True)
class Tally:
    """Counts the bytes of a file that are out, over all its parts; `done` of them had arrived before.

    The sum falls only where a part is sent again.
    """

    progress: Progress
    done: int = 0
    _out: dict[int, int] = field(default_factory=dict)

    def part(self, start: int) -> Progress:
        """What the part that begins at byte `start` tells how far it is, as a `Slice` does."""

        def count(at: int) -> None:
            self.done += at - start - self._out.get(start, 0)
            self._out[start] = at - start
            self.progress(self.done)

        return count


async def side_by_side(send: Callable[[int], Awaitable[object]], numbers: Iterable[int]) -> None:
    """Send the parts with these numbers, `AT_ONCE` at a time; the first that fails ends all and is raised."""
    waiting = iter(numbers)

    async def work() -> None:
        for number in waiting:
            await send(number)

    await all_of(work() for _ in range(AT_ONCE))
