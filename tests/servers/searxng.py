"""SearXNG's search, as it answers programs: JSON where its settings allow it, else a page that says 403."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from tests.servers.openai_files import serving

FORMATS = {"html", "json", "csv", "rss"}
PARAMETERS = {"q", "format", "language", "pageno", "categories", "engines", "time_range", "safesearch"}
FORBIDDEN = (
    "<!doctype html>\n<html lang=en>\n<title>403 Forbidden</title>\n<h1>Forbidden</h1>\n"
    "<p>You don&#39;t have the permission to access the requested resource. It is either read-protected or not "
    "readable by the server.</p>\n"
)


@dataclass
class SearXNGService:
    """An instance; `results` are what it finds for any query, `formats` those of its settings."""

    url: str = ""
    results: list[dict[str, Any]] = field(default_factory=list)
    unresponsive: list[list[str]] = field(default_factory=list)
    formats: set[str] = field(default_factory=lambda: {"html", "json"})
    queries: list[str] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    body: bytes | None = None
    """What it answers in the place of JSON."""

    def found(self, url: str, title: str = "A page", content: str = "What it says.", **more: Any) -> None:
        """Have it find a page, too."""
        engine = {"engine": "duckduckgo", "engines": ["duckduckgo"], "category": "general", "score": 1.0}
        shape = {"template": "default.html", "parsed_url": ["http", "", "", "", "", ""], "positions": [1]}
        self.results.append({"url": url, "title": title, "content": content, **engine, **shape, **more})

    async def search(self, request: web.Request) -> web.Response:
        form = dict(request.query)
        self.asked.append(form)
        if not set(form) <= PARAMETERS or len(form) != len(request.query):
            return web.json_response({"error": f"unknown parameters: {sorted(form)}"}, status=400)
        wanted = form.get("format", "html")
        if (wanted if wanted in FORMATS else "html") not in self.formats:
            return web.Response(status=403, text=FORBIDDEN, content_type="text/html")
        if not form.get("q"):
            return web.json_response({"error": "No query"}, status=400)
        if not re.fullmatch(r"all|auto|[a-z]{2,3}(-[A-Z]{2})?", form.get("language", "all")):
            return web.json_response({"error": "search error"}, status=400)
        if wanted != "json":
            return web.Response(text="<!doctype html><title>SearXNG</title>", content_type="text/html")
        if self.body is not None:
            return web.Response(body=self.body, content_type="application/json")
        self.queries.append(form["q"])
        return web.json_response(
            {
                "query": form["q"],
                "number_of_results": 0,
                "results": self.results,
                "answers": [],
                "corrections": [],
                "infoboxes": [],
                "suggestions": [],
                "unresponsive_engines": self.unresponsive,
            }
        )


@asynccontextmanager
async def searxng() -> AsyncIterator[SearXNGService]:
    """An instance on loopback that finds nothing yet."""
    service = SearXNGService()
    app = web.Application()
    app.router.add_get("/search", service.search)
    async with serving(app) as service.url:
        yield service
