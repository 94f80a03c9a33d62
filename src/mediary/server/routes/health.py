"""Whether the server lives, and whether what it needs is reachable."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from mediary.services import Services


class Ready(BaseModel):
    """That all is there."""

    status: Literal["ready"] = "ready"


def health_routes(services: Services) -> APIRouter:
    """`GET /readyz`; `/healthz` needs no router and is answered before it."""
    router = APIRouter(tags=["health"])

    @router.get("/readyz", summary="Database and store are reachable")
    async def readyz() -> Ready:
        await services.check()
        return Ready()

    return router
