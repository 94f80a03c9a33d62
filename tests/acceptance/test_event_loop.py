"""The server's event loop is never held: asyncio itself reports each step that takes long."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.servers.mediary import MediaryServer, media_urls

# On the wall, for asyncio knows no other clock: far above what a busy machine does to a step of microseconds, and below
# what drawing, encoding, hashing and syncing these pictures and sounds on the loop would take.
LIMIT = 1.0

LARGE = {"provider": "Local", "model": "picture", "width": 2048, "height": 2048}
LONG = "All that is gold does not glitter, not all those who wander are lost. " * 60


def test_no_step_of_the_loop_takes_long(tmp_path: Path):
    with MediaryServer(tmp_path / "data", debug=True) as server:
        turns = [
            lambda: server.converse("a mountain", **LARGE, seed=1),
            lambda: server.converse(LONG, provider="Local", model="speech"),
            lambda: server.converse("a lake", **LARGE, seed=2),
            lambda: server.converse("When was it built?", provider="Local", model="passages"),
        ]
        with ThreadPoolExecutor(len(turns)) as clients:
            answers = [future.result() for future in [clients.submit(turn) for turn in turns]]
        assert [events[-1]["type"] for events in answers] == ["finish"] * len(turns)
        assert [len(media_urls(events)) for events in answers] == [1, 1, 1, 0]
        assert server.get(media_urls(answers[0])[0]).startswith(b"\x89PNG")
        server.stop()
        assert server.slow_steps(LIMIT) == []


def test_such_a_step_would_be_seen(tmp_path: Path):
    server = MediaryServer(
        tmp_path / "data",
        debug=True,
        command=[
            sys.executable, "-c",
            "import asyncio, logging, time\n"
            "logging.basicConfig()\n"
            "print('Mediary 0 on http://127.0.0.1:1 · data x · providers: none', flush=True)\n"
            "async def main(): time.sleep(0.3)\n"
            "asyncio.run(main())",
        ],
    )  # fmt: skip
    server.start()
    assert server.process
    assert server.process.wait(30) == 0
    assert len(server.slow_steps(0.2)) == 1
