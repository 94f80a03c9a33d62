"""A library moves to an object store and back while it is served; whoever moves it is killed again and again."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.docs import pages
from tests.servers.buckets import Bucket
from tests.servers.mediary import MediaryServer, clean_environment
from tests.servers.swift import server as swift

from mediary.media.walk import AT_ONCE

ITEMS, KILLS = 200, 4
PNG = b"\x89PNG\r\n\x1a\n"


def settings(store: str, bucket: Bucket) -> str:
    options = "".join(f'{name} = "{value}"\n' for name, value in bucket.options.items())
    return f'[media]\nstore = "{store}"\n\n[media.store_options]\n{options}'


def fill(folder: Path, items: int = ITEMS) -> dict[str, bytes]:
    """A library of pictures of all sizes, some of which bear two names: what is in it."""
    chance = random.Random(3)
    blobs = [PNG + chance.randbytes(chance.choice((10, 2_000, 60_000, 700_000))) for _ in range(items)]
    named = {f"{1700000000 + at}_picture_{at:016x}.png": data for at, data in enumerate(blobs)}
    named |= {f"{1700001000 + at}_zwilling+Ж_{at:016x}.png": blobs[at] for at in range(items // 12)}
    folder.mkdir(parents=True)
    for name, data in named.items():
        (folder / name).write_bytes(data)
    return named


class Session:
    """The commands that a person runs beside the server."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """`mediary media …`, running."""
        return subprocess.Popen(
            [sys.executable, "-m", "mediary", "media", *arguments, "--data", str(self._data)],
            env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: str) -> str:
        """`mediary media …`, which must succeed: what it says."""
        with self.start(*arguments) as process:
            said = process.communicate(timeout=120)[0]
            assert process.returncode == 0, f"{arguments}: {said}"
        return said


class Reader(threading.Thread):
    """Somebody who looks at one picture after the other; `wrong` is what he did not get as it is."""

    def __init__(self, server: MediaryServer, files: dict[str, bytes]) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._files = files
        self._over = threading.Event()
        self.seen = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        names = list(self._files)
        while not self._over.is_set():
            name = random.choice(names)
            with self._server.open(f"/media/{quote(name)}") as answer:
                if answer.status != 200 or answer.read() != self._files[name]:
                    self.wrong.append(f"{name}: {answer.status}")
            self.seen += 1

    def stop(self) -> None:
        """End, and complain of what went wrong."""
        self._over.set()
        self.join(30)
        assert self.seen > 100
        assert self.wrong == []


def move(session: Session, to: str, done: "object", files: int) -> None:
    """Move, killed several times when some more files are there than before; the last time to its end."""
    for number in range(KILLS):
        enough = files * (number + 1) // (KILLS + 2)
        process = session.start("move", "--to", to)
        while done() < enough:  # type: ignore[operator]
            assert process.poll() is None, process.communicate()[0]
            time.sleep(random.uniform(0, 0.05))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout
        process.stdout.close()
    said = session.run("move", "--to", to)
    assert "were there already" in said


def named_keys(data: Path) -> int:
    """How many objects bear a name."""
    with closing(sqlite3.connect(data / "mediary.db")) as database:
        return int(database.execute("SELECT count(DISTINCT key) FROM stored_files").fetchone()[0])


def assert_served(server: MediaryServer, files: dict[str, bytes]) -> None:
    """Every URL serves what it always served."""
    for name, data in files.items():
        assert server.get(f"/media/{quote(name)}") == data, name


@pytest.mark.timeout(600)
def test_there_and_back_killed_again_and_again(tmp_path: Path) -> None:
    bucket = swift().new_bucket()
    data = tmp_path / "data"
    folder = data / "generated_media"
    files = fill(folder)
    blobs = len(set(files.values()))
    session = Session(data)
    deleted = next(iter(files))
    with MediaryServer(data, settings=settings("local", bucket)) as server:
        session.run("reindex")
        session.run("rm", deleted)
        gone = files.pop(deleted)

        reader = Reader(server, files)
        reader.start()
        move(session, bucket.url, lambda: len(bucket.list_keys()), blobs)
        reader.stop()
        # An object that was sent and got no name before its sender was killed is left to `gc`.
        assert blobs <= len(bucket.list_keys()) <= blobs + AT_ONCE * KILLS
        assert named_keys(data) == blobs

        (data / "mediary.toml").write_text(settings(bucket.url, bucket))
        server.restart()
        assert_served(server, files)
        said = session.run("verify")
        assert f"{len(files) + 1} files" in said
        while left := [path.name for path in (*folder.glob("*.png"), *folder.glob(".trash/*.png"))]:
            assert server.process and server.process.poll() is None, left
            time.sleep(0.1)  # they are carried over, found there already and leave
        assert_served(server, files)
        assert named_keys(data) == blobs

        reader = Reader(server, files)
        reader.start()
        move(session, "local", lambda: len(list(folder.glob("*.png"))), len(files))
        reader.stop()

        (data / "mediary.toml").write_text(settings("local", bucket))
        server.restart()
        assert_served(server, files)
        session.run("verify")
        session.run("restore", deleted)
        assert server.get(f"/media/{quote(deleted)}") == gone
    assert {path.name: path.read_bytes() for path in folder.glob("*.*") if path.is_file()} == files | {deleted: gone}
    assert len({path.stat().st_ino for path in folder.glob("*.png")}) == blobs
    assert list(folder.glob(".incoming/*")) == []


def test_the_commands_of_the_page(tmp_path: Path) -> None:
    bucket = swift().new_bucket()
    data = tmp_path / "data"
    files = fill(data / "generated_media", items=6)
    (data / "mediary.toml").write_text(settings("local", bucket))
    page = pages.blocks(pages.ROOT / "docs" / "how-to" / "moving.md")
    commands = [line.split() for block in page if block.is_shell for line in block.code.splitlines()]
    assert len(commands) == 6
    session = Session(data)
    session.run("reindex")
    for program, group, *arguments in commands:
        assert (program, group) == ("mediary", "media")
        session.run(*(argument.replace("s3://my-bucket/mediary", bucket.url) for argument in arguments))
        if "s3://my-bucket/mediary" in arguments:
            (data / "mediary.toml").write_text(settings(bucket.url, bucket))
            for path in (data / "generated_media").glob("*.png"):
                path.unlink()
    assert {path.name: path.read_bytes() for path in (data / "generated_media").glob("*.png")} == files
