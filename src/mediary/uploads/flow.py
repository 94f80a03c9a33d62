"""What all flows do alike: they read their table of the settings, and make accounts of credentials."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mediary.errors import BadRequestError, MissingAuthError, SettingsError, UploadDamagedError
from mediary.net.client import HttpClient
from mediary.providers.base import Takes
from mediary.providers.http.service import is_header
from mediary.settings import UploadSettings
from mediary.uploads.base import Account, CachePolicy, Credentials, File
from mediary.uploads.transport import Transport


class Options(BaseModel):
    """The keys of a table that are a flow's own; a flow adds fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OpenOptions(Options):
    """For services that do not say what they take, or not to everybody the same: the settings may say it."""

    types: tuple[str, ...] = Field(("*",), description="The media types that are sent there, such as `image/*`.")
    max_bytes: int | None = Field(None, ge=1, description="The largest file that is sent; default: whatever it takes.")

    @property
    def takes(self) -> Takes:
        """What is sent there."""
        return Takes(self.types, self.max_bytes)


O = TypeVar("O", bound=Options)  # noqa: E741 - it stands for options


class BaseFlow(Generic[O]):
    """The beginning of a flow: its settings, read and checked. SettingsError names the key that is wrong.

    What is left to write is `flow`, `options_type` and `ticket_type`, then `takes`, `account` (mostly `bearer`),
    `ticket`, `receipt` and `message`, as `uploads.base.Flow` says; `Attaches`, `Removes` and `Abandons` where it can.
    """

    flow: ClassVar[str]
    names_matter: ClassVar[bool] = False
    models_matter: ClassVar[bool] = False
    options_matter: ClassVar[tuple[str, ...]] = ()
    takes_cookies: ClassVar[bool] = False
    default_policy: ClassVar[CachePolicy] = CachePolicy()
    options_type: type[O]

    def __init__(self, name: str, table: UploadSettings, http: HttpClient) -> None:
        self.name = name
        self.label = table.label or name
        self.options = _read_options(self.options_type, name, table)
        self.policy = _policy(table, self.default_policy)
        self.transport = Transport(name, http, table.base_url)
        self._api_key = table.api_key.get_secret_value() if table.api_key else None
        self._cookies = {cookie: value.get_secret_value() for cookie, value in table.cookies.items()}
        self._headers = {header: value.get_secret_value() for header, value in table.headers.items()}
        values = {"api_key": self._api_key or "", **self._headers}
        for key, value in values.items():
            if not is_header("Authorization", value):
                raise SettingsError(
                    f"setting uploads of {name}: {key} holds characters that cannot be sent in a header"
                )

    def key_of(self, credentials: Credentials) -> str:
        """The key: the request's, else that of the settings. MissingAuthError says what to hand in."""
        key = credentials.api_key or self._api_key
        if not key:
            raise MissingAuthError(
                f"{self.name} wants a key: set `api_key` in its table of mediary.toml, or send `api_key` with the files"
            )
        return key

    def bearer(self, credentials: Credentials) -> Account:
        """An account that shows its key as `Authorization: Bearer`."""
        return self.by_key(credentials, "Authorization")

    def by_key(self, credentials: Credentials, header: str) -> Account:
        """An account that shows its key in a header: as it is, but in `Authorization` as a bearer's.

        A header of the settings that bears a key stands for theirs, and gives way to the key of a request.
        """
        bearing = {"authorization", header.casefold()}
        own = {name: value for name, value in self._headers.items() if name.casefold() in bearing}
        if own and not credentials.api_key:
            return self.make_account({})
        key = self.key_of(credentials)
        account = self.make_account({header: f"Bearer {key}" if header == "Authorization" else key})
        headers = {name: value for name, value in account.headers.items() if name == header or name not in own}
        return Account(headers, known_by=header)

    def cookies_of(self, credentials: Credentials) -> dict[str, str]:
        """The cookies: those of the settings, and over them those that were handed in."""
        return self._cookies | dict(credentials.cookies)

    def make_account(self, headers: Mapping[str, str], known_by: str | None = None) -> Account:
        """An account with these headers and the further ones of the settings; `known_by` is as in `Account`."""
        for header, value in headers.items():
            if not is_header(header, value):
                raise BadRequestError(f"the credentials for {self.name} hold characters that cannot be sent")
        given = {header.casefold() for header in headers}
        further = {name: value for name, value in self._headers.items() if name.casefold() not in given}
        return Account(further | dict(headers), known_by)

    def check_size(self, file: File, kept: int | None) -> None:
        """UploadDamagedError if the service says that it has kept another number of bytes than the file has."""
        if kept is not None and kept != file.size:
            raise UploadDamagedError(f"{self.name}: has kept {kept} bytes of {file.name}, not {file.size}")


def cookie_header(cookies: Mapping[str, str]) -> str:
    """Cookies as a request bears them, in an order that is always the same: they tell one account from another."""
    return "; ".join(f"{name}={value}" for name, value in sorted(cookies.items()))


def _read_options(kind: type[O], name: str, table: UploadSettings) -> O:
    try:
        return kind(**table.own)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        if problem["type"] != "extra_forbidden":
            raise SettingsError(f"setting uploads of {name}: {key}: {problem['msg']}") from None
        known = [*kind.model_fields, *UploadSettings.model_fields]
        near = get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(known))}"
        raise SettingsError(f"unknown setting {key} in the uploads of {name}; {hint}") from None


def _policy(table: UploadSettings, default: CachePolicy) -> CachePolicy:
    entries, keep = table.cache_entries or default.entries, table.cache_keep
    if keep is None:
        keep = default.keep if entries == default.entries else (entries or 0) * 9 // 10
    if entries is not None and keep >= entries:
        raise SettingsError("cache_keep has to be less than cache_entries")
    return CachePolicy(table.image_cache, entries, keep, table.cache_seconds or default.seconds)
