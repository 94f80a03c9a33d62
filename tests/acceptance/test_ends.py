"""How a turn ends that does not end by itself: the client leaves, the server stops, the provider dies."""

import asyncio
import base64
import json
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from tests.servers.http import Received, raw_server, repeated, reset, response, silence
from tests.servers.mediary import MediaryServer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
FIRST = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Once"}}]}\n\n'
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGNQSFgARAwQCgAdjgSBQe+XXgAAAABJRU5ErkJggg=="
)
QUESTION = {"provider": "Up", "model": "m", "messages": [{"role": "user", "content": "Tell a story"}]}


class Endless:
    """Answers with one word and then waits; knows when its client hung up."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def __call__(self, request: Received, writer: asyncio.StreamWriter) -> None:
        reader: asyncio.StreamReader = writer._transport.get_protocol()._stream_reader  # type: ignore[attr-defined]
        writer.write(HEAD + FIRST)
        await writer.drain()
        while await reader.read(65536):
            pass
        self.left.set()


@asynccontextmanager
async def upstream(tmp_path: Path, answer: Any, settings: str = "") -> AsyncIterator[MediaryServer]:
    """Mediary with the provider Up, which gives that answer."""
    async with raw_server() as up:
        up.answers["/v1/chat/completions"] = answer
        table = f'[providers.Up]\nwire = "openai"\nbase_url = "{up.url}/v1"\napi_key = "sk-secret-key"\n'
        server = MediaryServer(tmp_path / "data", settings=settings + table)
        await asyncio.to_thread(server.start)
        try:
            yield server
        finally:
            await asyncio.to_thread(server.kill)


class Client:
    """A connection of its own to a conversation, to be dropped at will."""

    def __init__(self, server: MediaryServer) -> None:
        host, port = server.url.removeprefix("http://").split(":")
        self.address = host, int(port)

    async def ask(self, question: dict[str, Any] = QUESTION) -> None:
        self.reader, self.writer = await asyncio.open_connection(*self.address)
        body = json.dumps(question).encode()
        head = "\r\n".join(
            [
                "POST /backend-api/v2/conversation HTTP/1.1",
                "Host: localhost",
                "Content-Type: application/json",
                f"Content-Length: {len(body)}",
                "Connection: close",
            ]
        )
        self.writer.write(head.encode() + b"\r\n\r\n" + body)

    async def until(self, text: bytes) -> bytes:
        seen = b""
        while text not in seen:
            piece = await self.reader.read(65536)
            assert piece, f"the answer ended without {text!r}: {seen!r}"
            seen += piece
        return seen

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Hang up."""
        self.writer.close()
        await self.writer.wait_closed()


def outcomes(server: MediaryServer) -> list[tuple[str, str | None, int]]:
    """What the ledger says of each turn."""
    with sqlite3.connect(server.data / "mediary.db") as database:
        return database.execute("SELECT outcome, error, characters FROM usage_records ORDER BY id").fetchall()


async def recorded(server: MediaryServer, count: int) -> list[tuple[str, str | None, int]]:
    """The ledger once it has that many turns; stopping the server writes what is left."""
    assert await asyncio.to_thread(server.stop) == 0
    found = outcomes(server)
    assert len(found) == count
    return found


async def test_a_client_that_leaves_closes_the_connection_to_the_provider(tmp_path: Path) -> None:
    endless = Endless()
    async with upstream(tmp_path, endless) as server, Client(server) as client:
        await client.ask()
        await client.until(b"Once")

        await client.leave()

        await endless.left.wait()
        assert await recorded(server, 1) == [("cancelled", None, 4)]


async def test_a_client_that_leaves_before_the_first_piece(tmp_path: Path) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def silent(request: Received, writer: asyncio.StreamWriter) -> None:
        asked.set()
        reader: asyncio.StreamReader = writer._transport.get_protocol()._stream_reader  # type: ignore[attr-defined]
        while await reader.read(65536):
            pass
        left.set()

    async with upstream(tmp_path, silent) as server, Client(server) as client:
        await client.ask()
        await client.until(b"event: parameters")
        await asked.wait()

        await client.leave()

        await left.wait()
        assert await recorded(server, 1) == [("cancelled", None, 0)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_ends_running_streams_with_an_event(tmp_path: Path, number: signal.Signals) -> None:
    endless = Endless()
    async with upstream(tmp_path, endless, "[server]\ngrace_seconds = 0.2\n") as server, Client(server) as client:
        await client.ask()
        await client.until(b"Once")
        assert server.process

        server.process.send_signal(number)

        assert b"ShutdownError" in await client.until(b"event: error") + await client.reader.read()
        await endless.left.wait()
        assert await asyncio.to_thread(server.process.wait, 30) == 0
        assert outcomes(server) == [("cancelled", None, 4)]


async def test_a_stop_lets_a_stream_end_by_itself_within_its_grace(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def two_words(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + FIRST)
        await writer.drain()
        await go_on.wait()
        writer.write(b'data: {"choices":[{"index":0,"delta":{"content":" more"},"finish_reason":"stop"}]}\n\n')
        writer.write(b"data: [DONE]\n\n")

    async with upstream(tmp_path, two_words, "[server]\ngrace_seconds = 60\n") as server, Client(server) as client:
        await client.ask()
        await client.until(b"Once")
        assert server.process

        server.process.send_signal(signal.SIGTERM)
        go_on.set()

        assert b" more" in await client.until(b"event: finish")
        assert await asyncio.to_thread(server.process.wait, 30) == 0
        assert outcomes(server) == [("finished", None, 9)]


@pytest.mark.parametrize(
    ("answer", "kind", "error"),
    [
        (reset(HEAD + FIRST), b"error", b"StreamInterruptedError"),
        (HEAD + FIRST, b"error", b"StreamInterruptedError"),
        (response(b'{"error":{"message":"no sk-secret-key for you"}}', status=401), b"auth", b"MissingAuthError"),
        (response(b'{"error":{"message":"slow down"}}', "Retry-After: 7", status=429), b"error", b'"retry_after":7'),
        (response(b"<html>oops</html>", status=500), b"error", b"ProviderUnavailableError"),
        (response(b"", status=204), b"error", b"Error"),
        (b"SSH-2.0-OpenSSH\r\n", b"error", b"ProviderUnavailableError"),
    ],
    ids=["reset", "cut", "401", "429", "500", "204", "no-http"],
)
async def test_a_provider_that_fails_ends_the_turn_with_its_words(
    tmp_path: Path, answer: Any, kind: bytes, error: bytes
) -> None:
    async with upstream(tmp_path, answer) as server, Client(server) as client:
        await client.ask()

        seen = await client.until(b"event: " + kind)
        seen += await client.reader.read()

        assert error in seen
        assert b"secret" not in seen
        [(outcome, _, _)] = await recorded(server, 1)
        assert outcome == "failed"
        assert "secret" not in server.output()


async def test_a_stop_does_not_wait_for_a_client_that_reads_nothing(tmp_path: Path) -> None:
    flood = repeated(HEAD, FIRST * 1000)
    async with upstream(tmp_path, flood, "[server]\ngrace_seconds = 0.2\n") as server, Client(server) as client:
        await client.ask()
        await client.until(b"Once")

        assert await asyncio.to_thread(server.stop, 20) == 0
        assert outcomes(server)[0][0] == "cancelled"


SLOW_PICTURE = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n\x89PNG\r\n\x1a\n"


async def test_a_stop_does_not_wait_long_for_a_picture_that_does_not_come(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def picture(request: Received, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await silence(SLOW_PICTURE)(request, writer)

    async with raw_server() as up:
        up.answers["/slow.png"] = picture
        up.answers["/v1/images/generations"] = response(b'{"data":[{"url":"%s/slow.png"}]}' % up.url.encode())
        settings = f'[server]\ngrace_seconds = 0.2\n[providers.Up]\nwire = "openai"\nbase_url = "{up.url}/v1"\n'
        server = MediaryServer(tmp_path / "data", settings=settings)
        await asyncio.to_thread(server.start)
        try:
            async with Client(server) as client:
                await client.ask(QUESTION | {"model": "dall-e-3"})
                await asked.wait()

                assert await asyncio.to_thread(server.stop, 20) == 0

                assert b"ShutdownError" in await client.until(b"event: error")
        finally:
            await asyncio.to_thread(server.kill)
        assert "Traceback" not in server.output()


class SlowSpeech:
    """Begins a sound and does not go on with it; knows when its client hung up."""

    def __init__(self) -> None:
        self.asked, self.left = asyncio.Event(), asyncio.Event()

    async def __call__(self, request: Received, writer: asyncio.StreamWriter) -> None:
        reader: asyncio.StreamReader = writer._transport.get_protocol()._stream_reader  # type: ignore[attr-defined]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nConnection: close\r\n\r\nID3\x04" + b"\0" * 5000)
        await writer.drain()
        self.asked.set()
        while await reader.read(65536):
            pass
        self.left.set()


@asynccontextmanager
async def speaking(tmp_path: Path) -> AsyncIterator[tuple[SlowSpeech, MediaryServer, "Client"]]:
    """A turn whose sound is under way."""
    speech = SlowSpeech()
    async with raw_server() as up:
        up.answers["/v1/audio/speech"] = speech
        settings = f'[server]\ngrace_seconds = 0.2\n[providers.Up]\nwire = "openai"\nbase_url = "{up.url}/v1"\n'
        server = MediaryServer(tmp_path / "data", settings=settings)
        await asyncio.to_thread(server.start)
        try:
            async with Client(server) as client:
                await client.ask(QUESTION | {"model": "tts-1"})
                await speech.asked.wait()
                yield speech, server, client
        finally:
            await asyncio.to_thread(server.kill)


async def test_a_client_that_leaves_in_the_middle_of_a_sound(tmp_path: Path) -> None:
    async with speaking(tmp_path) as (speech, server, client):
        await client.leave()

        await speech.left.wait()
        assert await recorded(server, 1) == [("cancelled", None, 0)]
        assert "ERROR" not in server.output()
        assert not [file for file in (server.data / "generated_media").rglob("*") if file.is_file()]


async def test_a_stop_in_the_middle_of_a_sound(tmp_path: Path) -> None:
    async with speaking(tmp_path) as (speech, server, client):
        assert server.process
        server.process.send_signal(signal.SIGTERM)

        assert b"ShutdownError" in await client.until(b"event: error")
        await speech.left.wait()
        assert await asyncio.to_thread(server.process.wait, 30) == 0
        assert "ERROR" not in server.output()


async def test_a_client_that_leaves_while_its_attachment_is_fetched(tmp_path: Path) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def picture(request: Received, writer: asyncio.StreamWriter) -> None:
        reader: asyncio.StreamReader = writer._transport.get_protocol()._stream_reader  # type: ignore[attr-defined]
        writer.write(SLOW_PICTURE)
        asked.set()
        while await reader.read(65536):
            pass
        left.set()

    async with raw_server() as elsewhere:
        elsewhere.answers["/slow.png"] = picture
        part = {"type": "image_url", "image_url": {"url": f"{elsewhere.url}/slow.png"}}
        question = QUESTION | {"messages": [{"role": "user", "content": [part]}]}
        settings = '[net]\nallow = ["127.0.0.0/8"]\n'
        async with upstream(tmp_path, b"", settings) as server, Client(server) as client:
            await asyncio.to_thread(server.get, "/readyz")
            await client.ask(question)
            await asked.wait()

            await client.leave()

            await left.wait()
            assert await recorded(server, 0) == []


async def test_one_bad_picture_leaves_the_others(tmp_path: Path) -> None:
    good = base64.b64encode(PIXEL).decode()
    pictures = [{"b64_json": "@@"}, {"b64_json": good}, {"b64_json": base64.b64encode(b"<html>").decode()}]
    async with raw_server() as up:
        up.answers["/v1/images/generations"] = response(json.dumps({"data": pictures}).encode())
        settings = f'[providers.Up]\nwire = "openai"\nbase_url = "{up.url}/v1"\n'
        with MediaryServer(tmp_path / "data", settings=settings) as server:
            events = await asyncio.to_thread(server.converse, "Draw", provider="Up", model="dall-e-3")
            up.answers["/v1/images/generations"] = response(json.dumps({"data": pictures[:1]}).encode())
            none_good = await asyncio.to_thread(server.converse, "Draw", provider="Up", model="dall-e-3")

    assert [event["type"] for event in events if event["type"] in ("log", "content")] == ["log", "content", "log"]
    assert events[-1]["type"] == "finish"
    assert none_good[-1]["error"] == "ProviderError"


async def test_a_provider_that_is_not_there(tmp_path: Path) -> None:
    async with raw_server() as gone:
        port = gone.port
    table = f'[providers.Up]\nwire = "openai"\nbase_url = "http://127.0.0.1:{port}/v1"\n'
    with MediaryServer(tmp_path / "data", settings=table) as server:
        events = await asyncio.to_thread(server.converse, "Hello", provider="Up", model="m")

        assert events[-1]["error"] == "ProviderUnavailableError"
        assert f"127.0.0.1:{port}" in events[-1]["message"]


async def test_a_late_provider_ends_the_turn_within_the_time_the_request_gives(tmp_path: Path) -> None:
    async with upstream(tmp_path, Endless()) as server, Client(server) as client:
        await client.ask(QUESTION | {"stream_timeout": 0.1})

        assert b"ProviderTimeoutError" in await client.until(b"event: error")


async def test_twenty_at_once_are_twenty_answers(tmp_path: Path) -> None:
    words = HEAD + FIRST + b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    async with upstream(tmp_path, words) as mediary:

        async def ask() -> bytes:
            async with Client(mediary) as client:
                await client.ask()
                return await client.until(b"event: finish")

        answers = await asyncio.gather(*(ask() for _ in range(20)))

        assert all(b"Once" in answer for answer in answers)
        assert await recorded(mediary, 20) == [("finished", None, 4)] * 20
