"""`/backend-api/v2/usage`, `…/log`, `…/stats`: what turns used, as measured here, and what clients say beside it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from mediary.conversations.request import decode_json
from mediary.errors import BadRequestError, FieldError, NotFoundError
from mediary.server.labels import user_label
from mediary.server.limits import Body, check_declared_length
from mediary.server.openapi import ERROR
from mediary.server.pace import Pace
from mediary.usage.record import UsageRecord, dollars

if TYPE_CHECKING:
    from mediary.usage.reports import Report, ReportKind
    from mediary.usage.room import UsageRoom
    from mediary.usage.statistics import Statistics

MAX_REPORT = 16 * 1024
"""Bytes of what a client may say at once."""
MAX_DEPTH = 64
REPORTS_A_SECOND, REPORTS_AT_ONCE = 50.0, 1000
MAX_DAYS = 3660
MAX_LABEL = 200
LINES = "application/x-ndjson"

Source = Literal["server", "client"]

_objects: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])
_encoder = msgspec.json.Encoder(decimal_format="number")

_USER = {"name": "x-user", "in": "header", "schema": {"type": "string"}, "description": "A label; no identity"}
_REPORT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "example": {"model": "gpt", "total_tokens": 7}}}},
    },
    "parameters": [_USER],
}
_DAY = Path(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$", json_schema_extra={"format": "date"}, examples=["2026-11-20"])


class Kept(BaseModel):
    """That it is kept: an empty object."""


class Sums(BaseModel):
    """What some turns come to."""

    requests: int
    finished: int
    failed: int
    cancelled: int
    interrupted: int
    prompt_tokens: int
    completion_tokens: int
    saved_tokens: int
    total_tokens: int
    reasoning_tokens: int
    characters: int
    media: int
    pictures: int
    media_bytes: int
    media_seconds: float
    cost: float | None = Field(description="US dollars, of the `priced_requests`; null where there are none of them")
    priced_requests: int
    first_token_ms: float | None = Field(description="The mean")
    duration_ms: float | None = Field(description="The mean")


class SumsOfDay(Sums):
    """What a day comes to."""

    date: date


class SumsOfName(Sums):
    """What a model, a provider or a user comes to."""

    name: str


class Stats(BaseModel):
    """What days come to."""

    days: list[SumsOfDay]
    models: list[SumsOfName]
    providers: list[SumsOfName]
    users: list[SumsOfName]
    totals: Sums


def usage_routes(usage: "UsageRoom") -> APIRouter:
    """The routes, on what is known of use."""
    router = APIRouter(prefix="/backend-api/v2", tags=["usage"])
    _add_reporting(router, usage)
    _add_reading(router, usage)
    return router


def _add_reporting(router: APIRouter, usage: "UsageRoom") -> None:
    pace = Pace(REPORTS_A_SECOND, REPORTS_AT_ONCE)
    refusals: dict[int | str, dict[str, Any]] = dict.fromkeys((400, 413, 429, 503, 507), ERROR)

    async def keep(kind: "ReportKind", request: Request) -> Response:
        pace.check("reports")
        check_declared_length(request.scope, MAX_REPORT, "")
        report = decode_json(_objects, await Body(request.receive, MAX_REPORT, "").read())
        if _is_deep(report):
            raise BadRequestError("the body is nested too deeply")
        await (await usage.reports()).add(kind, report, _label(request, report))
        return Response(b"{}", media_type="application/json")

    @router.post(
        "/usage",
        summary="What a client says it used",
        response_model=Kept,
        responses=refusals,
        openapi_extra=_REPORT,
    )
    async def keep_usage(request: Request) -> Response:
        return await keep("usage", request)

    @router.post(
        "/log", summary="What happened to a client", response_model=Kept, responses=refusals, openapi_extra=_REPORT
    )
    async def keep_log(request: Request) -> Response:
        return await keep("log", request)


def _add_reading(router: APIRouter, usage: "UsageRoom") -> None:
    @router.get(
        "/usage/{day}",
        summary="The turns of a day, of UTC, a line of JSON each; what clients alone know comes behind them",
        response_class=Response,
        responses={
            200: {"description": "JSON lines", "content": {LINES: {"itemSchema": {"type": "object"}}}},
            **dict.fromkeys((400, 404, 503), ERROR),
        },
    )
    async def read_day(
        day: Annotated[str, _DAY],
        source: Annotated[Source | None, Query(description="What was measured here, or what clients say")] = None,
    ) -> Response:
        lines = _lines(usage, _read_day(day), source)
        first = await anext(lines, None)
        if first is None:
            raise NotFoundError(f"nothing is known of {day}")
        return StreamingResponse(_behind(first, lines), media_type=LINES)

    @router.get(
        "/stats",
        summary="What the last days come to",
        response_model=Stats,
        responses=dict.fromkeys((400, 503), ERROR),
    )
    async def read_stats(
        days: Annotated[int, Query(ge=1, le=MAX_DAYS, description="With today, of UTC")] = 30,
        user: Annotated[str | None, Query(description="Of one label alone; empty: of who had none")] = None,
    ) -> Response:
        found = await (await usage.ledger()).statistics(days, user)
        return Response(_encoder.encode(describe_statistics(found)), media_type="application/json")


def _label(request: Request, report: Mapping[str, Any]) -> str | None:
    """What the client calls its user: in a header, else in what it says."""
    said = user_label(request.headers.raw) or report.get("user")
    return said[:MAX_LABEL] if isinstance(said, str) and said else None


def describe_record(record: UsageRecord) -> dict[str, Any]:
    """A turn as clients read it."""
    told = asdict(record)
    told["user"] = told.pop("user_label")
    return {"source": "server", **told, "cost": dollars(record.cost)}


def describe_report(report: "Report") -> dict[str, Any]:
    """What a client said, marked as such."""
    return {**report.report, "source": "client", "created": report.created, "user": report.user_label}


def describe_statistics(found: "Statistics") -> dict[str, Any]:
    """Sums as clients read them."""
    return {
        "days": [{"date": group.name, **group.describe()} for group in found.days],
        "models": [{"name": group.name, **group.describe()} for group in found.models],
        "providers": [{"name": group.name, **group.describe()} for group in found.providers],
        "users": [{"name": group.name, **group.describe()} for group in found.users],
        "totals": found.totals.describe(),
    }


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise FieldError("day", "there is no such day") from None


async def _lines(usage: "UsageRoom", day: date, source: Source | None) -> AsyncIterator[bytes]:
    """The lines of a day, a page at a time."""
    after: int | None = 0 if source in (None, "server") else None
    while after is not None:
        page = await (await usage.ledger()).list(day, after)
        if page.records:
            yield _encoder.encode_lines([describe_record(record) for record in page.records])
        after = page.next
    after = 0 if source in (None, "client") else None
    while after is not None:
        said = await (await usage.reports()).list("usage", day, after, news=source is None)
        if said.reports:
            yield _encoder.encode_lines([describe_report(report) for report in said.reports])
        after = said.next


async def _behind(first: bytes, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for page in lines:
        yield page


def _is_deep(value: Any, depth: int = MAX_DEPTH) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not depth or any(_is_deep(item, depth - 1) for item in inner)
