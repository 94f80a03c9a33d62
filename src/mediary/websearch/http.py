"""What engines over HTTP share: whom they ask and as whom, and how an answer in JSON is read."""

from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from mediary.errors import ProviderError, SettingsError
from mediary.net.client import HttpClient
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.service import Service, is_header
from mediary.settings import WebSearchSettings
from mediary.websearch.base import Result

T = TypeVar("T")

MAX_ANSWER = 4 * 1024**2
"""Bytes of an answer; twenty results have less than a tenth of it."""


def service(
    label: str, settings: WebSearchSettings, http: HttpClient, url: str, *, key_header: str = "Authorization"
) -> Service:
    """The service at `url`; SettingsError for a key that no header can hold."""
    key = settings.api_key.get_secret_value() if settings.api_key else None
    if key and not is_header(key_header, key):
        raise SettingsError("setting websearch.api_key: holds characters that cannot be sent in a header")
    return Service(label, http, url, key, trusted=True, key_header=key_header)


def need_key(settings: WebSearchSettings, variable: str) -> None:
    """SettingsError where there is no key."""
    if settings.api_key is None:
        raise SettingsError(f"setting websearch.api_key: {settings.engine} needs a key, such as `env:{variable}`")


async def get(service: Service, path: str, decoder: msgspec.json.Decoder[T], *, seconds: float, **query: Any) -> T:
    """What the service answers; parameters that are None are left out. ProviderError."""
    asked = urlencode({name: value for name, value in query.items() if value is not None})
    return await _ask(service, "GET", f"{path}?{asked}", decoder, seconds)


async def post(service: Service, path: str, decoder: msgspec.json.Decoder[T], *, seconds: float, body: Any) -> T:
    """The same for a body in JSON."""
    return await _ask(service, "POST", path, decoder, seconds, body=msgspec.json.encode(body))


async def _ask(
    service: Service, method: str, path: str, decoder: msgspec.json.Decoder[T], seconds: float, **how: Any
) -> T:
    async with service.open(method, path, total=seconds, headers={"Accept": "application/json"}, **how) as answer:
        body = await answer.read(MAX_ANSWER)
    try:
        return decode(decoder, body)
    except UnreadableError:
        raise ProviderError(f"{service.name}: what it answers cannot be read") from None


def result(url: Any, title: Any, snippet: Any) -> list[Result]:
    """A result, if it is one: services leave fields out, and some have numbers in them."""
    texts = [text if isinstance(text, str) else "" for text in (url, title, snippet)]
    return [Result(*texts)] if texts[0] else []
