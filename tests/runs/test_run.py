"""A run of this process: whoever reads it gets each event once, whatever is stored and let go of meanwhile."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.errors import StoreError
from mediary.runs.run import HELD_BYTES, Frames, Run

FINISH = b'event: finish\ndata: {"type":"finish"}\n\n'


def frame(number: int, size: int = 0) -> bytes:
    return b'event: content\ndata: {"content":"%d%b"}\n\n' % (number, b"x" * size)


class Kept:
    """What has been stored."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def store(self, run: Run) -> None:
        new = run.unstored()
        assert new.first == len(self.frames) + 1
        self.frames += new.frames
        run.note_stored(new.last)

    async def read(self, run: str, after: int) -> AsyncIterator[Frames]:
        for place in range(after, len(self.frames), 3):
            yield Frames(place + 1, self.frames[place : place + 3])


def new_run() -> Run:
    return Run("a" * 32, "OpenAI", "gpt", None, lambda run: None)


@given(
    steps=st.lists(st.sampled_from(["event", "large", "store", "read"]), max_size=40),
    after=st.integers(0, 10),
)
async def test_a_reader_gets_each_event_once(steps: list[str], after: int) -> None:
    run, kept, sent, got = new_run(), Kept(), [], []
    reading = run.follow(after, kept.read)
    for step in steps:
        if step == "store":
            kept.store(run)
        elif step == "read" and len(got) + after < len(sent):
            found = await anext(reading)
            assert found.first == len(got) + after + 1
            got += found.frames
        elif step in ("event", "large"):
            sent.append(frame(len(sent), HELD_BYTES // 2 if step == "large" else 0))
            run.append(sent[-1])
    run.append(FINISH)
    run.end()
    async for found in reading:
        got += found.frames
    assert got == [*sent, FINISH][after:]
    assert run.state == "finished"


def test_what_is_stored_is_let_go_of() -> None:
    run, kept = new_run(), Kept()
    for number in range(1000):
        run.append(frame(number))
    kept.store(run)

    assert (run.frames, run.size, run.total) == ([], 0, 1000)


async def test_a_slow_reader_holds_no_more_than_its_share() -> None:
    run, kept = new_run(), Kept()
    reading = run.follow(0, kept.read)
    run.append(frame(0))
    await anext(reading)
    for number in range(1, 20):
        run.append(frame(number, HELD_BYTES // 4))
        kept.store(run)
        assert run.size <= HELD_BYTES

    assert [found.first async for found in _first(reading)] == [2]
    await reading.aclose()


async def _first(reading: AsyncIterator[Frames]) -> AsyncIterator[Frames]:
    yield await anext(reading)


async def nothing(run: str, after: int) -> AsyncIterator[Frames]:
    for _ in ():
        yield Frames(1, [])


async def test_who_reads_a_run_that_cannot_be_stored_misses_nothing() -> None:
    run, got = new_run(), []
    reading = run.follow(0, nothing)
    run.append(frame(0))
    got += (await anext(reading)).frames
    run.append(frame(1))
    run.forget()
    run.append(frame(2))
    run.append(FINISH)
    run.end()
    async for found in reading:
        got += found.frames

    assert got == [frame(0), frame(1), frame(2), FINISH]


async def test_who_is_too_slow_for_a_run_that_cannot_be_stored_is_told() -> None:
    run = new_run()
    reading = run.follow(0, nothing)
    run.append(frame(0))
    await anext(reading)
    for number in range(1, 20):
        run.append(frame(number, HELD_BYTES // 4))
        run.forget()
        assert run.size <= HELD_BYTES

    with pytest.raises(StoreError, match="event 2"):
        await anext(reading)


def test_what_was_finished_when_somebody_ended_it_is_finished() -> None:
    run = new_run()
    run.append(FINISH)
    run.stop()
    run.end()
    assert run.state == "finished"
