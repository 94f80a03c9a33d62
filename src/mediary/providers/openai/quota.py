"""What is left of credit and limits, with the services that tell of it."""

from dataclasses import replace
from typing import Any

import msgspec

from mediary.errors import MissingAuthError, ProviderError
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.provider import LIST_TIMEOUT
from mediary.providers.http.service import Service

MAX_QUOTA = 1024**2

# Where the services of a domain tell it.
_PLACES: dict[str, tuple[str, ...]] = {
    "openrouter.ai": ("/api/v1/credits", "/api/v1/key"),
    "deepseek.com": ("/user/balance",),
    "moonshot.ai": ("/v1/users/me/balance",),
    "moonshot.cn": ("/v1/users/me/balance",),
}

_answers = msgspec.json.Decoder(dict[str, Any])


async def read_quota(service: Service) -> dict[str, Any] | None:
    """What the service tells, in its own words; None where it has no place for that.

    Where it has several, their answers are one; what the key may not see is left out, unless it may see nothing.
    """
    places = _PLACES.get(service.domain)
    if places is None:
        return None
    service = replace(service, base_url=service.origin)
    found: dict[str, Any] = {}
    refusal: MissingAuthError | None = None
    for place in places:
        try:
            answer = await _ask(service, place)
        except MissingAuthError as error:
            refusal = error
        else:
            inner = answer.get("data")
            found |= inner if isinstance(inner, dict) else answer
    if refusal and not found:
        raise refusal
    return found


async def _ask(service: Service, path: str) -> dict[str, Any]:
    async with service.open("GET", path, total=LIST_TIMEOUT) as answer:
        try:
            return decode(_answers, await answer.read(MAX_QUOTA))
        except UnreadableError:
            raise ProviderError(f"{service.name}: its answer on credit and limits cannot be read") from None
