"""`GET /backend-api/v2/runs/<id>/events`: a turn's events again, and those to come: plain ASGI, as all streams."""

import asyncio

from mediary.errors import BadRequestError, MethodNotAllowedError
from mediary.server.long_answers import until_gone
from mediary.server.protocol import Receive, Scope, Send
from mediary.server.query import Query, read_whole
from mediary.server.running_turns import RunningTurns

RUNS = "/backend-api/v2/runs/"
EVENTS = "/events"
MOST = 2**53
LAST_EVENT_ID = b"last-event-id"


class RunEvents:
    """Replays what a client missed, then follows."""

    def __init__(self, turns: RunningTurns) -> None:
        self._turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "GET":
            raise MethodNotAllowedError(scope["method"], ("GET",))
        run_id = scope["path"].removeprefix(RUNS).removesuffix(EVENTS)
        after = _after(scope)
        gone = asyncio.create_task(until_gone(receive))
        try:
            await self._turns.follow(run_id, after, gone, send)
        finally:
            gone.cancel()


def _after(scope: Scope) -> int:
    """The number of the last event that the client has; a browser says it in a header, others may in the query."""
    header = dict(scope["headers"]).get(LAST_EVENT_ID)
    if header is None:
        return Query(scope["query_string"]).whole("after", 0, 0, MOST)
    try:
        return read_whole("Last-Event-ID", header.decode("ascii"), 0, MOST)
    except UnicodeDecodeError:
        raise BadRequestError("Last-Event-ID is a number") from None
