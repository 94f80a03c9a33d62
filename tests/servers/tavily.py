"""Tavily's search: strict about what its official client sends."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from tests.servers.openai_files import serving

KEY = "tvly-key-of-ann-0123456789"
FIELDS = {
    "query": str,
    "search_depth": str,
    "max_results": int,
    "topic": str,
    "include_raw_content": bool,
    "country": str,
}
DEPTHS = {"basic", "advanced", "fast", "ultra-fast"}


@dataclass
class TavilyService:
    """The service; `results` are what it finds for any query, `spent` whether the plan's questions are used up."""

    url: str = ""
    results: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    spent: bool = False

    async def search(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _no(401, "Unauthorized: missing or invalid API key.")
        if request.content_type != "application/json":
            return _no(422, "a body in JSON is wanted")
        body = json.loads(await request.read())
        self.asked.append(body)
        unknown = [name for name, value in body.items() if name not in FIELDS or type(value) is not FIELDS[name]]
        if unknown or not 1 <= len(body.get("query", "")) <= 400:
            return _no(400, f"Query is too long or missing, or other fields are wrong: {unknown}")
        if not 0 < body.get("max_results", 5) <= 20 or body.get("search_depth", "basic") not in DEPTHS:
            return _no(400, "Invalid max_results or search_depth")
        if self.spent:
            return _no(432, "This request exceeds your plan's set usage limit.")
        return web.json_response(
            {
                "query": body["query"],
                "follow_up_questions": None,
                "answer": None,
                "images": [],
                "results": self.results[: body.get("max_results", 5)],
                "response_time": 0.67,
                "request_id": "123e4567-e89b-12d3-a456-426614174111",
            }
        )


def _no(status: int, words: str) -> web.Response:
    return web.json_response({"detail": {"error": words}}, status=status)


@asynccontextmanager
async def tavily() -> AsyncIterator[TavilyService]:
    """The service on loopback; it finds nothing yet."""
    service = TavilyService()
    app = web.Application()
    app.router.add_post("/search", service.search)
    async with serving(app) as service.url:
        yield service
