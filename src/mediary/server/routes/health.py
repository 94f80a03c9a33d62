"""Whether the server lives, and whether what it needs is reachable."""

from fastapi import APIRouter

from mediary.services import Services


def health_routes(services: Services) -> APIRouter:
    """`GET /readyz`; `/healthz` needs no router and is answered before it."""
    router = APIRouter(tags=["health"])

    @router.get("/readyz", summary="Database and store are reachable")
    async def readyz() -> dict[str, str]:
        await services.check()
        return {"status": "ready"}

    return router
