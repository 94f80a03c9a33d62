"""`GET /backend-api/v2/quota/<provider>`: what a provider tells of credit and limits."""

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from mediary.conversations.choice.directory import ProviderDirectory
from mediary.errors import NotFoundError, ProviderError
from mediary.providers.base import TellsQuota
from mediary.server.openapi import ERROR, in_header
from mediary.server.routes.models import KEY_HEADERS

_ANSWER = {
    "description": "In the provider's own words",
    "content": {"application/json": {"schema": {"type": "object", "additionalProperties": True}}},
}


def quota_routes(providers: ProviderDirectory, *, locked: bool) -> APIRouter:
    """The route, on these providers. Where the server is not `locked`, a bearer's key is for the provider, too."""
    router = APIRouter(prefix="/backend-api/v2", tags=["models and providers"])

    @router.get(
        "/quota/{provider}",
        summary="What a provider tells of credit and limits",
        response_class=Response,
        responses={200: _ANSWER, **dict.fromkeys((404, 429, 502, 504), ERROR)},
        openapi_extra={"parameters": [in_header("x-api-key", "The provider's key, in the place of the settings' one")]},
    )
    async def tell_quota(provider: str, request: Request) -> Response:
        found = providers.get(provider)
        told = None
        if isinstance(found, TellsQuota) and found is not providers.custom:
            told = await found.quota(_key(request, locked=locked))
        if told is None:
            raise NotFoundError(f"{found.name} tells nothing of credit and limits")
        try:
            return Response(msgspec.json.encode(told), media_type="application/json")
        except RecursionError:
            raise ProviderError(f"{found.name}: its answer is nested too deep") from None

    return router


def _key(request: Request, *, locked: bool) -> str | None:
    """The provider's key that a request brings; existing clients send it where this server's would be."""
    if key := next((value for name in KEY_HEADERS if (value := request.headers.get(name))), None):
        return key
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() or None if scheme.casefold() == "bearer" and not locked else None
