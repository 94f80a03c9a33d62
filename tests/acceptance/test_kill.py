"""Killed a hundred times while pictures are saved: nothing partial, nothing wrong, nothing left over."""

import random
import struct
import threading
import zlib
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

import pytest
from tests.servers.mediary import MediaryServer

ROUNDS = 100
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def assert_whole_png(path: Path) -> None:
    """Every chunk has its checksum, and the last is the end."""
    data = path.read_bytes()
    assert data.startswith(SIGNATURE), path
    at, kind = len(SIGNATURE), b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 4 : at + 8 + length]
        [checksum] = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert zlib.crc32(body) == checksum, path
        at += 12 + length
    assert kind == b"IEND", path


def draw(server: MediaryServer, number: int, began: threading.Event) -> None:
    """Ask for pictures until the server is gone."""
    with suppress(URLError, ConnectionError, HTTPException):
        while True:
            size = random.choice((16, 200, 700))
            server.converse(f"picture {number}", provider="Local", model="picture", width=size, height=size, n=2)
            began.set()


@pytest.mark.timeout(900)
def test_a_hundred_kills_leave_only_whole_pictures(tmp_path: Path) -> None:
    server = MediaryServer(tmp_path / "data")
    media = server.data / "generated_media"
    pause = threading.Event()
    for number in range(ROUNDS):
        server.start()
        began = threading.Event()
        painters = [threading.Thread(target=draw, args=(server, number, began)) for _ in range(3)]
        for painter in painters:
            painter.start()
        if number % 2:
            assert began.wait(60)
        pause.wait(random.uniform(0, 0.3))
        server.kill()
        for painter in painters:
            painter.join()
        for file in media.glob("*.png"):
            assert_whole_png(file)

    server.start()
    server.get("/readyz")

    names = [file.name for file in media.iterdir() if file.is_file()]
    assert len(names) > ROUNDS
    assert not [file for folder in media.iterdir() if folder.is_dir() for file in folder.iterdir()]
    for name in names:
        assert server.get(f"/media/{name}") == (media / name).read_bytes()
    server.stop()
