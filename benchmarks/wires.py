"""What a chunk costs in each wire against the `openai` wire, and what it costs to keep events for a replay.

`python -m benchmarks.wires`. Services write each answer whole, so that what is measured is the work on it; the wires
take turns, after a round that does not count. A chunk's cost is the time for an answer of many chunks less that for
one of few, by the difference. Exit code 1 if a limit does not hold.
"""

import json
import sys
import time
from collections.abc import Iterator
from statistics import median
from urllib.parse import urlsplit

from benchmarks._load import Client, Load
from benchmarks._report import Row, report
from benchmarks._server import serving
from benchmarks._wires import WIRES, services

MANY, FEW = 5000, 100
ROUNDS = 15
KEEPING_ROUNDS = 15
STREAMS = 16
AROUND = 5
"""Events of a turn besides the chunks: provider, parameters, conversation, usage, finish."""
PAUSE = 0.4
"""Seconds between two readings, for what is stored behind a turn."""

TABLE = """
[providers.{wire}]
wire = "{wire}"
base_url = "http://127.0.0.1:{port}{base}"
api_key = "none"
models = ["chunks-{many}", "chunks-{few}"]
"""


def settings(port: int, more: str = "") -> str:
    """A provider for each wire."""
    tables = (TABLE.format(wire=name, port=port, base=wire.base, many=MANY, few=FEW) for name, wire in WIRES.items())
    return more + "".join(tables)


def seconds(client: Client, mediary: int, wire: str, chunks: int, streams: int = 1) -> float:
    """How long a turn takes, until its last event."""
    time.sleep(PAUSE)
    messages = [{"role": "user", "content": "Hello"}]
    body = json.dumps({"provider": wire, "model": f"chunks-{chunks}", "messages": messages})
    reading = client.read(Load(mediary, "/backend-api/v2/conversation", body, chunks + AROUND, streams))
    assert reading.complete == streams, f"{wire}: not all events came"
    return reading.total


def per_chunk(client: Client, mediary: int, wire: str) -> float:
    """What a chunk costs, in seconds."""
    return (seconds(client, mediary, wire, MANY) - seconds(client, mediary, wire, FEW)) / (MANY - FEW)


def wires(client: Client, mediary: int) -> Iterator[Row]:
    """Each wire against `openai`, in turns."""
    rounds = [{wire: per_chunk(client, mediary, wire) for wire in WIRES} for _ in range(ROUNDS + 1)][1:]
    usual = median(each["openai"] for each in rounds)
    for wire in list(WIRES)[1:]:
        ratio = median(each[wire] / each["openai"] for each in rounds)
        cost = median(each[wire] for each in rounds)
        yield Row(f"a chunk of the wire {wire}", _us(cost), _us(usual), ratio, 1.3)


def keeping(client: Client, with_replay: int, without: int) -> Row:
    """The rate with events kept, against that without."""
    kept, lost = [], []
    for _ in range(KEEPING_ROUNDS + 1):
        kept.append(seconds(client, with_replay, "openai", MANY, STREAMS))
        lost.append(seconds(client, without, "openai", MANY, STREAMS))
    rates = [STREAMS * MANY / median(each[1:]) for each in (kept, lost)]
    ratio = median(before / after for after, before in zip(kept[1:], lost[1:], strict=True))
    return Row(
        f"events kept for a replay, {STREAMS} streams", _rate(rates[0]), _rate(rates[1]), ratio, 0.9, at_least=True
    )


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} µs"


def _rate(events: float) -> str:
    return f"{events:,.0f}/s"


def main() -> None:
    """Measure, print, and say by the exit code whether the limits hold."""
    with (
        services() as port,
        serving(settings(port)) as server,
        serving(settings(port, "[runs]\nkeep_hours = 0\n")) as forgetful,
        Client() as client,
    ):
        mediary, other = (urlsplit(each.url).port or 0 for each in (server, forgetful))
        rows = [*wires(client, mediary), keeping(client, mediary, other)]
    sys.exit(not report(rows, "openai / nothing kept"))


if __name__ == "__main__":
    main()
