"""`/backend-api/v2/runs`: the turns of late, how they stand, and how one is ended."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from mediary.runs.room import Runs
from mediary.runs.run import RunInfo, State
from mediary.server.openapi import ERROR

MOST = 500
"""Runs of a page."""


class ShownRun(BaseModel):
    """A run."""

    id: str
    state: State
    provider: str
    model: str
    user: str | None = Field(description="What the client called its user")
    created: float = Field(description="Unix seconds")
    ended: float | None = Field(description="Unix seconds; null while it goes on")
    events: int


class RunList(BaseModel):
    """A page, newest first; `next` is the cursor of the page after it, null on the last."""

    runs: list[ShownRun]
    next: str | None


def run_routes(runs: Runs) -> APIRouter:
    """The routes, on these runs."""
    router = APIRouter(prefix="/backend-api/v2/runs", tags=["conversation"])

    @router.get("", summary="The runs of late, newest first", response_model=RunList, responses={400: ERROR})
    async def list_runs(
        state: Annotated[State | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str | None, Query(description="The `next` of the page before")] = None,
    ) -> Any:
        page = await runs.list(state, cursor or None, limit)
        return {"runs": [_shown(info) for info in page.runs], "next": page.next}

    @router.get("/{run}", summary="How a run stands", response_model=ShownRun, responses={404: ERROR})
    async def show_run(run: str) -> Any:
        return _shown(await runs.get(run))

    @router.post(
        "/{run}/cancel",
        summary="End a run; one that has ended stays as it is",
        response_model=ShownRun,
        responses={404: ERROR},
    )
    async def cancel_run(run: str) -> Any:
        return _shown(await runs.cancel(run))

    return router


def _shown(info: RunInfo) -> ShownRun:
    return ShownRun(
        id=info.id,
        state=info.state,
        provider=info.provider,
        model=info.model,
        user=info.user,
        created=info.created,
        ended=info.ended,
        events=info.events,
    )
