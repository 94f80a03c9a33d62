"""Mediary itself as a process: started as a person starts it, asked over HTTP, stopped, killed, started again."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Self, cast
from urllib.request import HTTPErrorProcessor, ProxyHandler, Request, build_opener

START_LINE = re.compile(
    r"Mediary (?P<version>\S+) on (?P<url>http://\S+) · data (?P<data>.+?) · providers: (?P<providers>.*)"
)
SLOW_STEP = re.compile(r"Executing (?P<step>.+?) took (?P<seconds>[0-9.]+) seconds")

# What a program needs to run at all; keys, proxies and MEDIARY_* of the shell stay out.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")


def clean_environment(**more: str) -> dict[str, str]:
    """The environment of a shell without keys, settings or proxies, and `more`."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | {"PYTHONUNBUFFERED": "1"} | more


class _AsItCame(HTTPErrorProcessor):
    """No status is an exception, and no redirect is followed."""

    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:
        return response


class MediaryServer:
    """`mediary serve` in a data folder of its own.

    `settings` is the text of `mediary.toml`; `debug` makes asyncio report each step of the loop that takes long, for
    `slow_steps`; `discover` lets it look for servers on this machine; `command` is run instead of this Python's
    `-m mediary serve` with its options.
    """

    def __init__(
        self,
        data: Path,
        *,
        settings: str | None = None,
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        command: Sequence[str] | None = None,
        port: int = 0,
        discover: bool = False,
        debug: bool = False,
    ) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self.url = ""
        self.start_line: re.Match[str] | None = None
        self.process: subprocess.Popen[str] | None = None
        self._more = threading.Condition()
        serve = [sys.executable, "-m", "mediary", "serve", "--data", str(data), "--port", str(port), *options]
        self._command = serve if command is None else list(command)
        self._env = clean_environment(
            MEDIARY_DISCOVER="true" if discover else "false",
            **({"PYTHONASYNCIODEBUG": "1"} if debug else {}),
            **(env or {}),
        )
        data.mkdir(parents=True, exist_ok=True)
        if settings is not None:
            (data / "mediary.toml").write_text(settings, encoding="utf-8")

    def start(self, timeout: float = 30) -> Self:
        """Start, and return once it says that it listens."""
        self.process = subprocess.Popen(
            self._command,
            cwd=self.data,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        listening: Future[re.Match[str]] = Future()
        self._reader = threading.Thread(target=self._read, args=(self.process, listening), daemon=True)
        self._reader.start()
        try:
            self.start_line = listening.result(timeout)
        except (ConnectionError, TimeoutError) as error:
            self.kill()
            raise AssertionError(f"mediary serve did not start: {error}\n{self.output()}") from error
        self.url = self.start_line["url"].rstrip("/")
        return self

    def _read(self, process: "subprocess.Popen[str]", listening: "Future[re.Match[str]]") -> None:
        """Keep what the process says in the log file, and watch for its start line."""
        assert process.stdout
        with self.log.open("a", encoding="utf-8") as log, process.stdout as lines:
            for line in lines:
                log.write(line)
                log.flush()
                with self._more:
                    self._more.notify_all()
                if not listening.done() and (match := START_LINE.search(line)):
                    listening.set_result(match)
        if not listening.done():
            listening.set_exception(ConnectionError("it ended before it listened"))

    @property
    def pid(self) -> int:
        """The process that was started; with several workers, their parent."""
        assert self.process
        return self.process.pid

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM, and its exit status."""
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._ended(timeout)

    def kill(self) -> int:
        """SIGKILL to it and to all that it started."""
        assert self.process
        with suppress(ProcessLookupError):  # it may have ended by itself
            os.killpg(self.process.pid, signal.SIGKILL)
        return self._ended(30)

    def _ended(self, timeout: float) -> int:
        assert self.process
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise AssertionError(f"mediary serve did not end within {timeout} s\n{self.output()}") from error
        self._reader.join(timeout)
        return status

    def restart(self, timeout: float = 30) -> Self:
        """Stop and start; with port 0 it listens on another one."""
        self.stop(timeout)
        return self.start(timeout)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process and self.process.poll() is None:
            self.stop()

    def output(self) -> str:
        """All that it wrote so far."""
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def await_output(self, words: str, timeout: float = 30) -> str:
        """All that it wrote, once these words are in it: a line may come after the answer that it is about."""
        with self._more:
            assert self._more.wait_for(lambda: words in self.output(), timeout), f"no {words!r} in\n{self.output()}"
        return self.output()

    def slow_steps(self, limit: float = 1.0) -> list[str]:
        """Steps of the event loop that took longer than `limit` seconds on the wall; needs `debug`."""
        return [match[0] for match in SLOW_STEP.finditer(self.output()) if float(match["seconds"]) > limit]

    def open(
        self, path: str, body: Any = None, *, method: str | None = None, headers: Mapping[str, str] | None = None,
        raw: bytes | None = None, timeout: float = 30,
    ) -> HTTPResponse:  # fmt: skip
        """Ask; `body` is sent as JSON, `raw` as it is. An error status is an answer like any other.

        The caller closes it.
        """
        data = raw if body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json"} | dict(headers or {}) if body is not None else dict(headers or {})
        request = Request(self.url + path, data, sent, method=method)
        return cast("HTTPResponse", build_opener(ProxyHandler({}), _AsItCame).open(request, timeout=timeout))

    def get(self, path: str, **options: Any) -> bytes:
        """The body of what must be answered with 200."""
        with self.open(path, **options) as response:
            body = response.read()
            assert response.status == 200, f"GET {path}: {response.status} {body[:500]!r}"
            return body

    def get_json(self, path: str, **options: Any) -> Any:
        """The same, decoded."""
        return json.loads(self.get(path, **options))

    def converse(
        self, text: str = "Hello", headers: Mapping[str, str] | None = None, **fields: Any
    ) -> list[dict[str, Any]]:
        """One turn: its events in order."""
        body = {"messages": [{"role": "user", "content": text}]} | fields
        with self.open("/backend-api/v2/conversation", body, headers=headers) as response:
            answer = response.read().decode()
            assert response.status == 200, f"conversation: {response.status} {answer[:500]}"
        return [json.loads(line.removeprefix("data: ")) for line in answer.split("\n") if line.startswith("data: ")]


def media_urls(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """The media that a turn's events name, in order and once each."""
    text = " ".join(event.get("content", "") for event in events if event["type"] == "content")
    named = [url for event in events for url in event.get("urls", ())]
    return list(dict.fromkeys([*named, *re.findall(r'(?<=src=")/media/[^"]+', text)]))
