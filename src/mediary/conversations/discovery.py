"""Model servers on this machine: which of the well-known ports answers as a model server."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from mediary.errors import ProviderError
from mediary.net.client import PROVIDER_FAILURES, HttpClient, translated

PROBE_SECONDS = 0.3


@dataclass(slots=True, frozen=True)
class LocalServer:
    """A kind of model server: where it listens, and what its model list tells of itself."""

    name: str
    port: int
    owner: str | None = None

    @property
    def base_url(self) -> str:
        """Where its OpenAI-compatible API begins."""
        return f"http://127.0.0.1:{self.port}/v1"


LOCAL_SERVERS = (
    LocalServer("Ollama", 11434),
    LocalServer("LM Studio", 1234),
    LocalServer("llama.cpp", 8080, owner="llamacpp"),
    LocalServer("vLLM", 8000, owner="vllm"),
)


class _Model(msgspec.Struct):
    owned_by: str | None = None


class _ModelList(msgspec.Struct):
    data: list[_Model] | None


async def find_local_servers(http: HttpClient, taken: Collection[str] = ()) -> list[LocalServer]:
    """Those that answer `GET /v1/models` as such within a moment; `taken` holds base URLs not to ask."""
    asked = [server for server in LOCAL_SERVERS if server.base_url not in taken]
    answers = await asyncio.gather(*(_is_there(http, server) for server in asked))
    return [server for server, there in zip(asked, answers, strict=True) if there]


async def _is_there(http: HttpClient, server: LocalServer) -> bool:
    url = f"{server.base_url}/models"
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            with translated(url, PROVIDER_FAILURES):
                async with http.request("GET", url, trusted=True) as response:
                    models = msgspec.json.decode(await response.read(), type=_ModelList).data or []
    except (TimeoutError, ProviderError, msgspec.DecodeError, UnicodeDecodeError):
        return False
    return server.owner is None or any(model.owned_by == server.owner for model in models)
