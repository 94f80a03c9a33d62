"""Conversations through Mediary against the same client reading the provider itself: `python -m benchmarks.streaming`.

Mediary, the provider and the client share the machine. Direct and through Mediary take turns, after a round that does
not count; a figure is the median of the rounds'. Exit code 1 if a limit does not hold.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlsplit

from benchmarks._load import Client, Load, Reading
from benchmarks._report import Row, report
from benchmarks._server import memory, serving
from benchmarks._upstream import upstream

CHUNKS = 200
EVENTS = CHUNKS + 5
"""Direct: role, chunks, finish, usage, [DONE]. Through Mediary: provider, parameters, chunks, usage, finish."""
PAUSE = 0.05
"""Seconds between two readings, for what a turn leaves to be done behind it."""
MB = 1_000_000

SETTINGS = """
[providers.Up]
wire = "openai"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "none"
models = ["chunks-200-burst", "chunks-200-delay-0", "chunks-200-delay-10"]
"""


@dataclass(frozen=True)
class Round:
    """The same streams read directly, then through Mediary."""

    direct: Reading
    ours: Reading


@dataclass(frozen=True)
class Bench:
    """The client, and the ports of the two it reads."""

    client: Client
    provider: int
    mediary: int

    def rounds(self, streams: int, delay: int | None, count: int) -> list[Round]:
        """So many streams at once with so many ms between their chunks; None writes all chunks in one piece."""
        pace = "burst" if delay is None else f"delay-{delay}"
        body = {"model": f"chunks-{CHUNKS}-{pace}", "messages": [{"role": "user", "content": "Hello"}]}
        asked = json.dumps(body | {"stream": True})
        direct = Load(self.provider, "/v1/chat/completions", asked, EVENTS, streams)
        ours = Load(self.mediary, "/backend-api/v2/conversation", json.dumps(body), EVENTS, streams)
        self._read(ours)
        return [Round(self._read(direct), self._read(ours)) for _ in range(count)]

    def _read(self, load: Load) -> Reading:
        time.sleep(PAUSE)
        return self.client.read(load)


def one_stream(bench: Bench) -> Iterator[Row]:
    rounds = bench.rounds(streams=1, delay=0, count=100)
    yield against_direct(f"{CHUNKS} chunks without a delay, one stream", rounds, limit=2.5)
    rounds = bench.rounds(streams=1, delay=None, count=100)
    yield against_direct("the same in one write of the provider", rounds, limit=None)


def many_streams(bench: Bench) -> Iterator[Row]:
    rounds = bench.rounds(streams=256, delay=10, count=5)
    yield against_direct(f"{CHUNKS} chunks 10 ms apart, 256 streams", rounds, limit=1.15)
    added = median(each.ours.gap - each.direct.gap for each in rounds)
    gaps = [median(reading.gap for reading in readings) for readings in zip(*map(_both, rounds), strict=True)]
    yield Row("the longest gap in any of them, added", _ms(gaps[1]), _ms(gaps[0]), added * 1000, 100, unit=" ms")


def a_thousand_streams(bench: Bench, server: int) -> Iterator[Row]:
    rounds = bench.rounds(streams=1000, delay=10, count=2)
    least = min(each.ours.complete for each in rounds)
    yield Row("of 1,000 streams complete", f"{least}", f"{rounds[0].direct.complete}", least, 1000, at_least=True)
    yield Row("memory with 1,000 streams", "", "", memory(server, peak=True) / MB, 250, unit=" MB")


def against_direct(figure: str, rounds: list[Round], limit: float | None) -> Row:
    """The time to the last event, as a multiple of the direct one."""
    direct, ours = (median(reading.total for reading in readings) for readings in zip(*map(_both, rounds), strict=True))
    ratio = median(each.ours.total / each.direct.total for each in rounds)
    return Row(figure, _ms(ours), _ms(direct), ratio, limit)


def _both(each: Round) -> tuple[Reading, Reading]:
    return each.direct, each.ours


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


def main() -> None:
    """Measure, print, and say by the exit code whether the limits hold."""
    with upstream() as provider, serving(SETTINGS.format(port=provider)) as server, Client() as client:
        bench = Bench(client, provider, urlsplit(server.url).port or 0)
        rows = [*one_stream(bench), *many_streams(bench), *a_thousand_streams(bench, server.pid)]
    sys.exit(not report(rows, "direct"))


if __name__ == "__main__":
    main()
