"""What the lists, the memory and the statistics take to answer, over HTTP: `python -m benchmarks.backend [PART …]`.

Parts: `models`, `memory`, `statistics`. Memory holds 100,000 items of one user, found by words and, with an embedding
model behind them, by meaning as well; a Python whose SQLite takes no extensions does the latter by its slower stand-in.
The statistics are those of a million turns. Times are medians of requests on one connection. Exit code 1 if a limit
does not hold.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlsplit

from benchmarks._embedder import embedder
from benchmarks._report import Row, report
from benchmarks._wires import services
from tests.servers.mediary import MediaryServer

from mediary import open_memory
from mediary.database.engine import Database
from mediary.usage.ledger import Ledger
from mediary.usage.record import UsageRecord

B = "/backend-api/v2"
ROUNDS = 200
QUIET = {"MEDIARY_LOG_LEVEL": "warning"}

PROVIDERS, MODELS = 8, 300
ITEMS, ITEMS_AT_ONCE = 100_000, 2_000
TURNS, TURNS_AT_ONCE, DAYS = 1_000_000, 20_000, 90
DAY = 86_400

WORDS = (
    *("tea", "milk", "garden", "train", "winter", "violin", "cat", "mountain", "river", "letter", "bread", "window"),
    *("doctor", "school", "yellow", "quiet", "market", "bicycle", "harbour", "candle", "story", "paper", "cloud"),
    *("Kaffee", "Straße", "夏天", "книга", "soleil", "naranja", "engine", "planet", "forest", "silver", "dinner"),
)
MEANING = """
[providers.Near]
wire = "openai"
base_url = "http://127.0.0.1:{port}/v1"
models = ["near"]
[memory]
embeddings = "Near/near"
"""
SEARCHES = ("tea with milk", "the quiet harbour in winter", "夏天", "violin", "who wrote the letter on silver paper?")


def times(url: str, paths: list[str]) -> list[float]:
    """How long each takes, in ms, on one connection; the first round of all does not count."""
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port or 0, timeout=60)
    found = []
    for number, path in enumerate(paths * 2 if len(paths) < ROUNDS else paths):
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body[:500]
        if number >= len(set(paths)):
            found.append((time.perf_counter() - began) * 1000)
    connection.close()
    return found


def row(figure: str, found: list[float], limit: float) -> Row:
    """The median against its limit; what nineteen of twenty took stands beside it."""
    return Row(figure, "", f"95 %: {quantiles(found, n=20)[-1]:.1f} ms", median(found), limit, unit=" ms")


def models(work: Path) -> Iterator[Row]:
    """`GET B/models` of many providers, one of which cannot list its models."""
    names = ", ".join(f'"model-{number}"' for number in range(MODELS))
    with services() as port:
        table = f'wire = "openai"\nbase_url = "http://127.0.0.1:{port}/v1"\nmodels = [{names}]\n'
        settings = "".join(f"[providers.P{number}]\n{table}" for number in range(PROVIDERS))
        with MediaryServer(work / "models", settings=settings, env=QUIET) as server:
            found = times(server.url, [f"{B}/models"] * ROUNDS)
            yield row(f"B/models, {PROVIDERS} providers with {MODELS} models each", found, 5)


def sentences(count: int) -> list[str]:
    """Different sentences of common words."""
    chance = Random(1)
    return [f"{' '.join(chance.choices(WORDS, k=9))} {number}" for number in range(count)]


async def remember(data: Path) -> None:
    """Fill a memory, and wait until all has its place."""
    items = sentences(ITEMS)
    async with open_memory(data) as memory:
        for start in range(0, ITEMS, ITEMS_AT_ONCE):
            await memory.add("ann", items[start : start + ITEMS_AT_ONCE], conversation_id=f"c{start}")
        await memory.idle()


def memory(work: Path) -> Iterator[Row]:
    """Searches of a large memory, by words alone and by meaning as well."""
    paths = [f"{B}/memory/ann?search={quote(text)}&page_size=10" for text in SEARCHES] * (ROUNDS // len(SEARCHES))
    figure = f"memory search, {ITEMS:,} items"
    yield row(f"{figure}, by words", _searched(work / "words", "", paths), 20)
    with embedder() as port:
        settings = MEANING.format(port=port)
        yield row(f"{figure}, by meaning too", _searched(work / "meaning", settings, paths), 20)


def _searched(data: Path, settings: str, paths: list[str]) -> list[float]:
    """How long the searches take in a memory with these settings."""
    data.mkdir()
    (data / "mediary.toml").write_text(settings)
    asyncio.run(remember(data))
    with MediaryServer(data, env=QUIET) as server:
        return times(server.url, paths)


async def take_turns(data: Path) -> None:
    """Record turns as the server does."""
    chance, now = Random(1), time.time()
    database = await Database.open(data / "mediary.db")
    ledger = Ledger(database)
    for start in range(0, TURNS, TURNS_AT_ONCE):
        records = [
            UsageRecord(
                turn=f"{number:032x}",
                created=now - DAY * DAYS * (1 - number / TURNS),
                provider=f"P{chance.randrange(5)}",
                model=f"model-{chance.randrange(20)}",
                outcome="finished",
                user_label=f"user-{chance.randrange(200)}",
                prompt_tokens=100,
                completion_tokens=50,
                total_tokens=150,
            )
            for number in range(start, start + TURNS_AT_ONCE)
        ]
        await ledger.record(*records)
    await database.close()


def statistics(work: Path) -> Iterator[Row]:
    """`GET B/stats` over a million turns, of all users and of one."""
    data = work / "turns"
    data.mkdir()
    asyncio.run(take_turns(data))
    with MediaryServer(data, env=QUIET) as server:
        for figure, query in (("of all", ""), ("of one user", "&user=user-7")):
            found = times(server.url, [f"{B}/stats?days={DAYS}{query}"] * (ROUNDS // 4))
            yield row(f"B/stats, {TURNS:,} turns in {DAYS} days, {figure}", found, 200)


PARTS = {"models": models, "memory": memory, "statistics": statistics}


def main() -> None:
    """Measure, print, and say by the exit code whether the limits hold."""
    with TemporaryDirectory(prefix="mediary-") as work:
        rows = [row for name in sys.argv[1:] or PARTS for row in PARTS[name](Path(work))]
    sys.exit(not report(rows))


if __name__ == "__main__":
    main()
