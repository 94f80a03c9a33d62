"""Runs the app: Granian in this process, or several such processes on one port."""

import asyncio
import gc
import logging
import multiprocessing
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from mediary import __version__
from mediary.errors import MediaryError, SettingsError
from mediary.server.app import App
from mediary.server.log import configure_logging
from mediary.server.supervisor import Supervisor
from mediary.services import Services
from mediary.settings import Settings, exposed_without_key
from mediary.usage.counters import Counters

MAX_CONNECTIONS = 16384
OPEN_FILES = 65536
CLOSING_SECONDS = 2.0

logger = logging.getLogger(__name__)


def reserve_port(settings: Settings) -> int:
    """The port to listen on: a free one for 0; SettingsError if another program has it."""
    server = settings.server
    if exposed_without_key(server):
        raise SettingsError(f"server.key is needed to listen on {server.host}: others can reach that address")
    family, kind, protocol, _, address = _resolve(server.host, server.port)
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise SettingsError(f"cannot listen on {server.host}:{server.port}: {reason}") from None
        port: int = probe.getsockname()[1]
        return port


def _resolve(host: str, port: int) -> tuple[int, int, int, str, Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        raise SettingsError(f"server.host: there is no address {host!r}") from None


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; one line on standard output says where, when the first request can come.

    SettingsError if the settings do not allow it.
    """
    server = settings.server.model_copy(update={"port": reserve_port(settings)})
    settings = settings.model_copy(update={"server": server})
    configure_logging(settings.log)
    _allow_open_files()
    if server.workers == 1:
        uvloop.run(_serve(settings, announce=True))
    else:
        with TemporaryDirectory(prefix="mediary-") as folder:
            code = Supervisor(server.workers, partial(run_worker, counters=Path(folder)), settings).run()
        if code:
            sys.exit(code)


def _allow_open_files() -> None:
    """As many as the system lets us have: a stream takes two, its client and its provider; shells begin with 1024."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        with suppress(ValueError):  # macOS calls unlimited what it does limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def run_worker(settings: Settings, announce: bool, counters: Path) -> None:
    """Serve as one of several processes, which have their counters in one folder."""
    configure_logging(settings.log)
    try:
        uvloop.run(_serve(settings, announce, Counters(counters)))
    except MediaryError as error:
        sys.exit(f"mediary: {error.message}" if announce else 1)


async def _serve(settings: Settings, announce: bool, counters: Counters | None = None) -> None:
    services = Services(settings, counters)
    app = App(services)
    host, port = settings.server.host, settings.server.port
    server = Server(
        app,
        address=_resolve(host, port)[4][0],
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=4096,
        backpressure=MAX_CONNECTIONS,
        log_enabled=False,
    )
    stop = asyncio.Event()
    _stop_when_told(stop)
    serving = asyncio.create_task(server.serve())
    serving.add_done_callback(lambda _: stop.set())
    starting = asyncio.create_task(_start(services, app, announce))

    def give_up(started: asyncio.Task[None]) -> None:
        if not started.cancelled() and started.exception():
            stop.set()

    starting.add_done_callback(give_up)
    try:
        await stop.wait()
        if starting.done():
            starting.result()
        if serving.done():
            serving.result()
            raise SettingsError(f"the server cannot listen on {host}:{port} any more")
    finally:
        starting.cancel()
        server.stop()  # type: ignore[no-untyped-call]
        await app.drain(settings.server.grace_seconds)
        # Not cancelled when it is late: Granian would stumble over that when it ends.
        await asyncio.wait([serving], timeout=CLOSING_SECONDS)
        await services.close()


def _stop_when_told(stop: asyncio.Event) -> None:
    """By a signal; and as one of several processes, when the one that started them is gone."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if parent := multiprocessing.parent_process():
        sentinel = parent.sentinel

        def orphaned() -> None:
            loop.remove_reader(sentinel)
            stop.set()

        loop.add_reader(sentinel, orphaned)


async def _start(services: Services, app: App, announce: bool) -> None:
    """What the first answer need not wait for."""
    settings = services.settings
    await services.conversations.providers.discover()
    await _listening(settings.server.host, settings.server.port)
    services.conversations.providers.warm()
    await services.start()
    await app.start()
    if announce:
        await services.begin_upkeep()
        names = ", ".join(provider.name for provider in services.conversations.providers)
        host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
        address = f"http://{host}:{settings.server.port}"
        line = f"Mediary {__version__} on {address} · data {settings.data.resolve()} · providers: {names}"
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    # What is loaded now stays. To look through it again for garbage would stop every stream for 20 ms each time.
    gc.freeze()


async def _listening(host: str, port: int) -> None:
    """Wait until a connection to the own port succeeds."""
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.005)
        else:
            writer.close()
            return
