"""What providers over HTTP share: whom they ask and as whom, and the models that they were told of."""

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

import msgspec

from mediary.errors import BadRequestError, FieldError, ProviderError, SettingsError
from mediary.net.client import HttpClient
from mediary.providers.base import Model
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.service import Service, is_header, public_url, with_version
from mediary.settings import ProviderSettings

MAX_LIST = 8 * 1024**2
"""Bytes of a list of models, or of a page of it; OpenRouter's, with several hundred, has less than one million."""
LIST_TIMEOUT = 15.0
"""Seconds for such a list or page."""

Told = TypeVar("Told")
T = TypeVar("T")


class HttpProvider(ABC, Generic[Told]):
    """A provider of the settings. SettingsError for a key or a header that cannot be sent.

    A wire says in which header its key goes, and which `version` of the API is meant where the base URL names none.
    `Told` is what it knows of a model that the service listed.
    """

    key_header: ClassVar[str] = "Authorization"
    version: ClassVar[str | None] = None

    def __init__(self, name: str, settings: ProviderSettings, http: HttpClient) -> None:
        self.name = name
        self.label = settings.label or name
        self.url = public_url(settings.base_url)
        self.default_model = settings.default_model
        self.needs_key = settings.api_key is not None
        self.context_tokens = settings.context_tokens
        self._settings = settings
        self._http = http
        self._key = settings.api_key.get_secret_value() if settings.api_key else None
        self._headers = {header: value.get_secret_value() for header, value in settings.headers.items()}
        self._check_headers()
        self._told: dict[str, Told] = {}

    def _check_headers(self) -> None:
        """SettingsError for what cannot be sent; never with its value."""
        if self._key and not is_header(self.key_header, self._key):
            raise SettingsError(
                f"setting providers.{self.name}.api_key: holds characters that cannot be sent in a header"
            )
        for header, value in self._headers.items():
            if not is_header(header, value):
                raise SettingsError(f"setting providers.{self.name}.headers: {header!r} cannot be sent as a header")

    async def models(self, api_key: str | None = None, base_url: str | None = None) -> list[Model]:
        """The models the service has now, the default first; those of the settings where they name any.

        `base_url` is for a provider without one of its own, as in `TurnRequest`.
        """
        if self._settings.models or not (base_url or self._settings.base_url):
            return self._offer({})
        told = await self._list(self._service(api_key, base_url))
        if not (api_key or base_url):
            # What the service tells somebody's own key is for nobody else.
            self._told = told
        return self._offer(told)

    @abstractmethod
    async def _list(self, service: Service) -> dict[str, Told]:
        """Ask for the models, by id and in the service's order."""

    @abstractmethod
    def _offer(self, told: dict[str, Told]) -> list[Model]:
        """The models to offer: those told and those of the settings, in the settings' words, the default first."""

    async def close(self) -> None:
        """Nothing to do: the connections belong to the HTTP client."""

    def _service(self, api_key: str | None = None, base_url: str | None = None) -> Service:
        """Where to ask, and as whom. The operator's key and headers never go to an address that a request brings."""
        if api_key and not is_header(self.key_header, api_key):
            raise FieldError("api_key", "holds characters that cannot be sent in a header")
        if base_url:
            return Service(self.name, self._http, self._full(base_url), api_key, key_header=self.key_header)
        if not self._settings.base_url:
            raise BadRequestError(f"{self.name} needs a base_url with the request")
        headers = self._headers
        if api_key:
            # The key of a request stands for all that says who the operator is; a gateway's headers stay.
            of_key = ("authorization", self.key_header.casefold())
            headers = {name: value for name, value in headers.items() if name.casefold() not in of_key}
        url, key = self._full(self._settings.base_url), api_key or self._key
        return Service(self.name, self._http, url, key, headers, trusted=True, key_header=self.key_header)

    def _full(self, base_url: str) -> str:
        return with_version(base_url, self.version) if self.version else base_url


def read_list(decoder: msgspec.json.Decoder[T], name: str, body: bytes) -> T:
    """A list of models, or a page of it; ProviderError if it is none."""
    try:
        return decode(decoder, body)
    except UnreadableError:
        raise ProviderError(f"{name}: its list of models cannot be read") from None
