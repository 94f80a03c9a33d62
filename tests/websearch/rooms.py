"""What the tests of engines share: settings, a client that may reach this machine, a service that hangs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.servers.http import listening

from mediary.net.client import HttpClient
from mediary.plugins import load
from mediary.settings import NetSettings, WebSearchSettings
from mediary.websearch.base import Engine
from mediary.websearch.room import WebSearch

LOOPBACK = ("127.0.0.0/8",)


def settings(engine: str, **keys: Any) -> WebSearchSettings:
    """As `[websearch]` has them."""
    return WebSearchSettings.model_validate({"engine": engine, **keys})


@asynccontextmanager
async def client(**net: Any) -> AsyncIterator[HttpClient]:
    """A client that may reach this machine."""
    http = HttpClient(NetSettings.model_validate({"allow": LOOPBACK, **net}))
    try:
        yield http
    finally:
        await http.close()


@asynccontextmanager
async def engine_of(table: WebSearchSettings, **net: Any) -> AsyncIterator[Engine]:
    """An engine as the server makes it."""
    async with client(**net) as http:
        engine: Engine = load("websearch", table.engine or "")(table, http)
        try:
            yield engine
        finally:
            await engine.close()


@asynccontextmanager
async def room_of(table: WebSearchSettings, **net: Any) -> AsyncIterator[WebSearch]:
    """A room as the server makes it."""
    async with client(**net) as http:
        room = WebSearch(load("websearch", table.engine or "")(table, http), http, table)
        try:
            yield room
        finally:
            await room.close()


@asynccontextmanager
async def hanging_service() -> AsyncIterator[str]:
    """The URL of a service that takes questions and does not answer."""

    async def serve(reader: Any, _: Any) -> None:
        while await reader.read(65536):
            pass

    async with listening(serve) as port:
        yield f"http://127.0.0.1:{port}"
