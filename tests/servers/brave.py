"""Brave's Web Search API: strict about its parameters, with the limit of its smaller plans where wanted."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from tests.servers.openai_files import serving

KEY = "BSA-brave-key-of-ann-0123456789"
# ruff: noqa: SIM905 - lists of words read best as text
LANGUAGES = set(
    "ar eu bn bg ca zh-hans zh-hant hr cs da nl en en-gb et fi fr gl de el gu he hi hu is it jp kn ko lv lt ms ml "
    "mr nb pl pt-br pt-pt pa ro ru sr sk sl es sv ta te th tr uk vi".split()
)
COUNTRIES = set(
    "ALL AR AU AT BE BR CA CL DK FI FR DE GR HK IN ID IT JP KR MY MX NL NZ NO CN PL PT PH RU SA ZA ES SE CH TW TR GB "
    "US".split()
)
PARAMETERS = {"q", "count", "offset", "country", "search_lang", "text_decorations", "result_filter", "safesearch"}


@dataclass
class BraveService:
    """The service; `results` are what it finds for any query, `limited` how many it refuses as too many in a second."""

    url: str = ""
    results: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    limited: int = 0

    async def search(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        self.asked.append(query)
        token = request.headers.get("X-Subscription-Token")
        if token is None or "Authorization" in request.headers:
            return _no(422, "VALIDATION", "Unable to validate request parameter(s)")
        if token != KEY:
            return _no(422, "SUBSCRIPTION_TOKEN_INVALID", "The provided subscription token is invalid.")
        if problem := _problem(query, len(request.query)):
            return _no(422, "VALIDATION", f"Unable to validate request parameter(s): {problem}")
        if self.limited:
            self.limited -= 1
            return _no(429, "RATE_LIMITED", "Request rate limit exceeded for plan.")
        found = self.results[: int(query.get("count", "20"))]
        answer: dict[str, Any] = {"type": "search", "query": {"original": query["q"]}, "mixed": {"type": "mixed"}}
        if found:
            answer["web"] = {"type": "search", "results": found, "family_friendly": True}
        return web.json_response(answer)


def _problem(query: dict[str, str], number: int) -> str | None:
    checks = {
        "parameters": set(query) <= PARAMETERS and len(query) == number,
        "q": 1 <= len(query.get("q", "")) <= 400 and len(query.get("q", "").split()) <= 50,
        "count": re.fullmatch(r"[1-9]|1\d|20", query.get("count", "20")),
        "search_lang": query.get("search_lang", "en") in LANGUAGES,
        "country": query.get("country", "US") in COUNTRIES,
        "text_decorations": query.get("text_decorations", "true") in ("true", "false"),
        "result_filter": query.get("result_filter", "web") == "web",
    }
    return next((name for name, good in checks.items() if not good), None)


def _no(status: int, code: str, detail: str) -> web.Response:
    error = {"id": "5d832250-9396-4f6e-b84a-2a1fe524cd7d", "status": status, "code": code, "detail": detail}
    headers = {"X-RateLimit-Limit": "1, 15000", "X-RateLimit-Reset": "1, 1419704"} if status == 429 else {}
    return web.json_response(
        {"type": "ErrorResponse", "error": error, "time": 1663072993}, status=status, headers=headers
    )


@asynccontextmanager
async def brave() -> AsyncIterator[BraveService]:
    """The service on loopback; it finds nothing yet."""
    service = BraveService()
    app = web.Application()
    app.router.add_get("/res/v1/web/search", service.search)
    async with serving(app) as service.url:
        yield service
