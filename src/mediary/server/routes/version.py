"""`GET /backend-api/v2/version`: this server's version, and the latest one known."""

from fastapi import APIRouter

from mediary import __version__
from mediary.net.latest_version import LatestVersion


def version_routes(latest: LatestVersion) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/backend-api/v2", tags=["models and providers"])

    @router.get("/version", summary="This server's version, and the latest one known")
    async def version() -> dict[str, str]:
        return {"version": __version__, "latest_version": await latest.get()}

    return router
