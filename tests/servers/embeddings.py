"""OpenAI's `/v1/embeddings`, strict; texts about the same thing lie near each other, whatever their words."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY = "embedding-key-of-ann-0123456789"
MODELS = {"small": 96, "large": 256}
"""How many numbers the vectors of each model have."""
MOST_TEXTS = 2048

SUBJECTS = (
    "pet cat cats dog miezi animal hund katze",
    "tea coffee drink beverage tee kaffee",
    "car bicycle drive train travel journey",
    "peanuts allergic food eat lunch cake",
    "python code program compiler bug",
)


@dataclass
class EmbeddingService:
    """The service; while it is `failing` it answers with that status, while `held` it answers nothing."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    failing: int | None = None
    refused: str | None = None
    """A word that no text may hold."""
    more: int = 0
    """By how many numbers the vectors are longer than they were."""
    held: asyncio.Event | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once anything was asked."""

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    async def embed(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _refusal(401, "Incorrect API key provided")
        asked = await request.json()
        self.asked.append(asked)
        self.arrived.set()
        if self.held:
            await self.held.wait()
        if self.failing:
            return _refusal(self.failing, "The server is overloaded")
        if problem := self._problem(asked):
            return _refusal(400, problem)
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        data = [
            {"object": "embedding", "index": index, "embedding": vector(text, MODELS[asked["model"]] + self.more)}
            for index, text in enumerate(texts)
        ]
        return web.json_response({"object": "list", "data": data, "model": asked["model"], "usage": {}})

    def _problem(self, asked: dict[str, Any]) -> str | None:
        texts = asked.get("input")
        texts = [texts] if isinstance(texts, str) else texts
        if asked.get("model") not in MODELS:
            return "no such model"
        if unknown := set(asked) - {"model", "input", "encoding_format", "dimensions", "user"}:
            return f"Unrecognized request argument supplied: {unknown}"
        if asked.get("encoding_format", "float") != "float":
            return "encoding_format: only float is made here"
        if not isinstance(texts, list) or not 0 < len(texts) <= MOST_TEXTS:
            return "'$.input' is invalid"
        if not all(isinstance(text, str) and text for text in texts):
            return "'$.input' is invalid: an empty text"
        if self.refused and any(self.refused in text for text in texts):
            return "This text is refused"
        return None


def vector(text: str, size: int) -> list[float]:
    """Where a text lies: in the direction of each of its subjects, and a little in one of its own."""
    numbers = _direction(text, size, 0.2)
    words = set(re.findall(r"\w+", text.lower()))
    for subject in SUBJECTS:
        if words & set(subject.split()):
            numbers = [a + b for a, b in zip(numbers, _direction(subject, size, 1.0), strict=True)]
    return numbers


def _direction(text: str, size: int, length: float) -> list[float]:
    drawn = hashlib.shake_256(text.encode()).digest(size)
    return [length * (byte - 127.5) / 127.5 for byte in drawn]


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "invalid_request_error"}}, status=status)


@asynccontextmanager
async def embedding_service() -> AsyncIterator[EmbeddingService]:
    """The service, listening."""
    service = EmbeddingService()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/embeddings", service.embed)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    service.url = f"http://{host}:{port}"
    try:
        yield service
    finally:
        if service.held:
            service.held.set()
        await runner.cleanup()
