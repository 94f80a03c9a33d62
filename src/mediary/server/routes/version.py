"""`GET /backend-api/v2/version`: this server's version, and the latest one known."""

from fastapi import APIRouter
from pydantic import BaseModel

from mediary import __version__
from mediary.net.latest_version import LatestVersion


class Versions(BaseModel):
    """Versions of Mediary."""

    version: str
    latest_version: str


def version_routes(latest: LatestVersion) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/backend-api/v2", tags=["models and providers"])

    @router.get("/version", summary="This server's version, and the latest one known")
    async def version() -> Versions:
        return Versions(version=__version__, latest_version=await latest.get())

    return router
