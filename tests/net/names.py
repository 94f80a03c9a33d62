"""A name service whose answers a test decides, and a client that asks it."""

import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp.abc import AbstractResolver, ResolveResult

from mediary.net.client import HttpClient
from mediary.settings import NetSettings


class Names(AbstractResolver):
    """Answers each name with the addresses of the turn; the last turn stays. `asked` counts."""

    def __init__(self, **turns: list[list[str]]) -> None:
        self.turns = {name.replace("_", "."): answers for name, answers in turns.items()}
        self.asked: dict[str, int] = defaultdict(int)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        turns = self.turns.get(host)
        if turns is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        answer = turns[min(self.asked[host], len(turns) - 1)]
        self.asked[host] += 1
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in answer
        ]

    async def close(self) -> None:
        self.turns.clear()


@asynccontextmanager
async def client_with(names: Names | None = None, **settings: object) -> AsyncIterator[HttpClient]:
    """A client with these network settings, closed with the block."""
    client = HttpClient(NetSettings.model_validate(settings), resolver=names)
    try:
        yield client
    finally:
        await client.close()
