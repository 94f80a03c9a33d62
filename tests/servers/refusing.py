"""A service that refuses, in the form of OpenAI's: below `/<status>/v1` everything is answered with that status."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

SAID = {
    400: "Unsupported value for this model",
    401: "Incorrect API key provided",
    429: "Rate limit reached for requests",
    500: "The server had an error while processing your request",
}
RETRY_AFTER = 7


@asynccontextmanager
async def refusing() -> AsyncIterator[str]:
    """The service on a free port of loopback, by its URL; below `/silent` nothing is ever answered."""
    app = web.Application()
    app.router.add_route("*", r"/{status:\d+}/{path:.*}", _refuse)
    app.router.add_route("*", "/silent/{path:.*}", _wait)
    runner = web.AppRunner(app, shutdown_timeout=1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _refuse(request: web.Request) -> web.Response:
    await request.read()
    status = int(request.match_info["status"])
    headers = {"Retry-After": str(RETRY_AFTER)} if status == 429 else {}
    error = {"message": SAID[status], "type": "error", "param": None, "code": None}
    return web.json_response({"error": error}, status=status, headers=headers)


async def _wait(request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError("nobody ends this")
