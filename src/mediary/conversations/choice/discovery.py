"""Model servers on this machine: which of the well-known ports answers as a model server."""

import asyncio
from collections.abc import AsyncIterable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from mediary.errors import ProviderError
from mediary.net.client import PROVIDER_FAILURES, HttpClient, translated

PROBE_SECONDS = 0.3
MAX_LIST = 1024**2
"""Bytes of a list that are read; who listens at a well-known port may be anybody."""

_THIS_MACHINE = {"localhost", "::1", "0.0.0.0", "::"}  # noqa: S104 - nothing listens here


@dataclass(slots=True, frozen=True)
class LocalServer:
    """A kind of model server: where it listens, which wire it speaks, and what its model list tells of itself."""

    name: str
    port: int
    owner: str | None = None
    wire: str = "openai"
    path: str = "/v1"
    listing: str = "/models"

    @property
    def base_url(self) -> str:
        """Where its API begins."""
        return f"http://127.0.0.1:{self.port}{self.path}"


LOCAL_SERVERS = (
    LocalServer("Ollama", 11434, wire="ollama", path="", listing="/api/tags"),
    LocalServer("LM Studio", 1234),
    LocalServer("llama.cpp", 8080, owner="llamacpp"),
    LocalServer("vLLM", 8000, owner="vllm"),
)


class _Model(msgspec.Struct):
    owned_by: str | None = None


class _ModelList(msgspec.Struct):
    """A list of models: `data` as OpenAI has it, `models` as Ollama does."""

    data: list[_Model] | msgspec.UnsetType | None = msgspec.UNSET
    models: list[_Model] | msgspec.UnsetType | None = msgspec.UNSET


async def find_local_servers(http: HttpClient, taken: Collection[str] = ()) -> list[LocalServer]:
    """Those that list their models within a moment; `taken` holds base URLs, and who listens there is not asked."""
    places = set(map(_place, taken))
    asked = [server for server in LOCAL_SERVERS if _place(server.base_url) not in places]
    answers = await asyncio.gather(*(_is_there(http, server) for server in asked))
    return [server for server, there in zip(asked, answers, strict=True) if there]


def _place(url: str) -> tuple[str, int] | None:
    """Where a URL leads: host and port, the same for every name of this machine."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    return "127.0.0.1" if host in _THIS_MACHINE else host, port


async def _read(body: AsyncIterable[bytes]) -> bytes:
    """What an answer holds; of one that is too long its beginning, which is no JSON."""
    found = bytearray()
    async for chunk in body:
        found += chunk
        if len(found) > MAX_LIST:
            break
    return bytes(found)


async def _is_there(http: HttpClient, server: LocalServer) -> bool:
    url = server.base_url + server.listing
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            with translated(url, PROVIDER_FAILURES):
                async with http.request("GET", url, trusted=True) as response:
                    told = msgspec.json.decode(await _read(response.content.iter_any()), type=_ModelList)
    except (TimeoutError, ProviderError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    models = told.models if server.wire == "ollama" else told.data
    if models is msgspec.UNSET:
        return False
    return server.owner is None or any(model.owned_by == server.owner for model in models or ())
