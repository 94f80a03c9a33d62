"""`mediary.toml` and MEDIARY_* into one frozen Settings; nothing else reads the environment."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as PydanticSettingsError

from mediary.errors import SettingsError

PREFIX = "MEDIARY_"
GIB = 1024**3


def _resolve_secret(secret: SecretStr) -> SecretStr:
    """`env:NAME` and `file:PATH` become what they point at; anything else is the secret itself. None may be empty."""
    scheme, _, rest = secret.get_secret_value().partition(":")
    match scheme:
        case "env":
            value, where = os.environ.get(rest, ""), f"the environment has no variable {rest}, or it is empty"
        case "file":
            value, where = _read_secret(rest), f"the file {rest} is empty"
        case _:
            value, where = secret.get_secret_value(), "it is empty: leave the key out if there is none"
    if not value.strip():
        raise ValueError(where)
    return SecretStr(value.strip())


def _read_secret(name: str) -> str:
    path = Path(name).expanduser()
    if not path.is_absolute():
        raise ValueError(f"file:{name}: the whole path is needed, from / or ~ on")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the file {name} cannot be read: {error.__class__.__name__}") from None


def _check_url(url: str) -> str:
    """An http(s) URL that holds no password: it is shown to clients, and stands in the log."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        whole = False
    if not whole:
        raise ValueError("not an http(s) URL")
    if "@" in parts.netloc:
        raise ValueError("a password does not belong into a URL: use api_key, or headers = { Authorization = … }")
    return url.rstrip("/")


def plain_store(store: str) -> str:
    """`media.store` as it is compared and written down: with a slash behind it, it is the same store."""
    scheme, separator, place = store.strip().partition("://")
    return f"{scheme}{separator}{place.rstrip('/') or place[:1]}"


def _check_name(name: str) -> str:
    """A provider's name stands in log lines and URLs."""
    if not re.fullmatch(r"\w[\w .+-]{0,63}", name):
        raise ValueError("a provider's name has letters, digits and ` ._+-`, 64 at most")
    return name


Secret = Annotated[SecretStr, AfterValidator(_resolve_secret)]
Url = Annotated[str, AfterValidator(_check_url)]


class Section(BaseModel):
    """A table of the settings: frozen, and with no key that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerSettings(Section):
    """Where the server listens, and for whom."""

    host: str = Field("127.0.0.1", description="Address to listen on. Any but loopback needs `key`.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one and prints it.")
    workers: int = Field(1, ge=1, le=64, description="Server processes.")
    key: Secret | None = Field(
        None, description="The key a client shows, as `Authorization: Bearer …` or as the password of Basic."
    )
    grace_seconds: float = Field(10.0, ge=0, description="How long running streams may go on after SIGTERM.")
    max_request_bytes: int = Field(256 * 1024**2, ge=1024, description="Largest request body, in bytes.")


class NetSettings(Section):
    """What the server fetches on behalf of a request, and within which limits."""

    allow: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description="Private networks that requests may reach, such as `127.0.0.0/8`."
    )
    proxy: Secret | None = Field(None, description="Proxy for outbound requests: `http://host:port`.")
    max_redirects: int = Field(5, ge=0, description="Redirects that a download follows.")
    max_bytes: int = Field(4 * GIB, ge=1, description="Largest download, in bytes.")
    connect_timeout: float = Field(10.0, gt=0, description="Seconds to wait for a connection.")
    timeout: float = Field(600.0, gt=0, description="Seconds that a whole download may take.")


class MediaSettings(Section):
    """The media library."""

    store: Annotated[str, AfterValidator(plain_store)] = Field(
        "local",
        description="Where the bytes lie: `local` is the media folder under the data folder; an object store is "
        "`s3://bucket/prefix`, `az://container/prefix`, `gs://bucket/prefix` or `file:///path`.",
    )
    store_options: dict[str, Secret] = Field(
        {},
        description="Options of the object store, such as `endpoint`, `region`, `access_key_id`, `secret_access_key`; "
        "values may be `env:` or `file:`.",
    )
    redirect: bool = Field(
        False, description="Answer `/media/…` with a link into the object store, signed at that moment."
    )
    redirect_seconds: int = Field(3600, ge=1, le=604800, description="How long such a link is good.")
    max_bytes: int = Field(4 * GIB, ge=1, description="Largest media item that is kept, in bytes.")
    trash_days: float = Field(30.0, ge=0, description="Days until the trash lets go of what was deleted; 0 keeps none.")
    watch: bool = Field(True, description="Notice files that are put into the media folder, or taken out of it.")
    max_pixels: int = Field(
        268_435_456, ge=1, description="The largest picture that is decoded, in pixels; larger ones are kept unseen."
    )
    keep_attachments: bool = Field(True, description="Keep the pictures and sounds that come with a question, too.")


class BucketSettings(Section):
    """Buckets: how much a document may have and cost."""

    folder: Path | None = Field(
        None,
        description="Where the buckets lie; default: `har_and_cookies/buckets` in the data folder. Several nodes share "
        "one folder.",
    )
    max_file_bytes: int = Field(4 * GIB, ge=1, description="Largest file that a bucket takes, in bytes.")
    max_upload_bytes: int = Field(16 * GIB, ge=1024, description="Largest upload of several files, in bytes.")
    processes: int = Field(2, ge=1, le=64, description="Documents that are read at the same time.")
    seconds: float = Field(120.0, gt=0, description="How long the reading of one document may take.")
    memory_bytes: int = Field(
        GIB, ge=128 * 1024**2, description="Memory that the reading of one document may take, in bytes."
    )
    max_text_bytes: int = Field(GIB, ge=1024, description="Largest text that is made of one document, in bytes.")
    max_archive_bytes: int = Field(2 * GIB, ge=1, description="What the members of an archive may have, in bytes.")
    max_archive_members: int = Field(10_000, ge=1, description="Files that an archive may hold, nested ones included.")
    max_archive_depth: int = Field(4, ge=1, le=16, description="Archives within archives.")
    ocr: bool = Field(True, description="Read the text in scans, where Tesseract's language data are installed.")
    transcriber: str | None = Field(
        None, description="The provider that turns speech into text: its name, or `NAME/model`."
    )
    crawl_pages: int = Field(1000, ge=1, description="Pages and files that one `downloads.json` may bring in.")
    crawl_bytes: int = Field(GIB, ge=1, description="What they may have together, in bytes.")
    crawl_seconds: float = Field(3600.0, gt=0, description="How long fetching them may take.")


class DatabaseSettings(Section):
    """The database."""

    url: Secret | None = Field(
        None, description="`sqlite:///path` or `postgresql://user@host/name`; default: `mediary.db` in the data folder."
    )


class LogSettings(Section):
    """The log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least level that is written.")
    format: Literal["text", "json"] = Field("text", description="One line of text, or of JSON, for each entry.")


class ConversationSettings(Section):
    """Limits of a turn; a request may ask for less, not for more."""

    timeout: float = Field(600.0, gt=0, description="Seconds that a whole turn may take.")
    stream_timeout: float = Field(120.0, gt=0, description="Seconds between two pieces of an answer.")
    max_attachment_bytes: int = Field(
        128 * 1024**2,
        ge=1,
        description="What the pictures, sounds and texts of a question may have together, in bytes.",
    )


class ProviderSettings(Section):
    """A provider: `[providers.NAME]`."""

    wire: str = Field(description="The protocol it speaks: `openai`, `local`.")
    label: str | None = Field(None, description="The name people see.")
    base_url: Url | None = Field(None, description="Where its API begins, such as `https://api.openai.com/v1`.")
    api_key: Secret | None = Field(None, description="`env:NAME`, `file:PATH` or the key itself.")
    default_model: str | None = Field(None, description="The model for requests that name none.")
    models: tuple[str, ...] = Field((), description="Its models, where the service cannot list them.")
    image_models: tuple[str, ...] = Field((), description="Models that make pictures, where their names do not tell.")
    speech_models: tuple[str, ...] = Field((), description="Models that make speech, where their names do not tell.")
    vision_models: tuple[str, ...] = Field((), description="Models that take pictures, where their names do not tell.")
    context_tokens: int | None = Field(
        None, ge=256, description="Tokens that its models take, where the service does not tell."
    )
    voice: str | None = Field(None, description="The voice for speech.")
    headers: dict[str, Secret] = Field({}, description="Further headers to send; values may be `env:` or `file:`.")


class Settings(BaseSettings):
    """Everything an operator can set."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
    )

    data: Path = Field(Path(), description="The data folder: media, database and `mediary.toml` lie in it.")
    discover: bool = Field(True, description="Look for model servers on this machine (Ollama, LM Studio, …).")
    server: ServerSettings = ServerSettings()
    net: NetSettings = NetSettings()
    media: MediaSettings = MediaSettings()
    buckets: BucketSettings = BucketSettings()
    database: DatabaseSettings = DatabaseSettings()
    log: LogSettings = LogSettings()
    conversation: ConversationSettings = ConversationSettings()
    providers: dict[Annotated[str, AfterValidator(_check_name)], ProviderSettings] = Field(
        {}, description="Providers by name, in the order of preference."
    )

    @property
    def bucket_dir(self) -> Path:
        """The folder of the buckets."""
        return self.buckets.folder or self.data / "har_and_cookies" / "buckets"


class KnownService(BaseModel):
    """A service that a variable of the environment is enough to configure."""

    name: str
    variable: str
    base_url: str
    default_model: str


KNOWN_SERVICES = (
    KnownService(
        name="OpenAI",
        variable="OPENAI_API_KEY",
        base_url="https://api.openai.com/v1",
        default_model="gpt-4o-mini",
    ),
    KnownService(
        name="OpenRouter",
        variable="OPENROUTER_API_KEY",
        base_url="https://openrouter.ai/api/v1",
        default_model="openrouter/auto",
    ),
    KnownService(
        name="Groq",
        variable="GROQ_API_KEY",
        base_url="https://api.groq.com/openai/v1",
        default_model="llama-3.3-70b-versatile",
    ),
    KnownService(
        name="Mistral",
        variable="MISTRAL_API_KEY",
        base_url="https://api.mistral.ai/v1",
        default_model="mistral-small-latest",
    ),
    KnownService(
        name="DeepSeek",
        variable="DEEPSEEK_API_KEY",
        base_url="https://api.deepseek.com/v1",
        default_model="deepseek-chat",
    ),
    KnownService(
        name="Together",
        variable="TOGETHER_API_KEY",
        base_url="https://api.together.xyz/v1",
        default_model="meta-llama/Llama-3.3-70B-Instruct-Turbo",
    ),
)


def load_settings(config: Path | None = None, data: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings: `overrides` (from the command line) over MEDIARY_* over the file over the defaults.

    The file is `config`, else that which MEDIARY_CONFIG names, else `mediary.toml` in the data folder if there is one.
    SettingsError says which key is wrong and which is the nearest right one.
    """
    named = config or os.environ.get(f"{PREFIX}CONFIG")
    path = Path(named) if named else (data or Path(os.environ.get(f"{PREFIX}DATA", "."))) / "mediary.toml"
    if named and not path.is_file():
        raise SettingsError(f"there is no settings file {path}")
    if data is not None:
        overrides["data"] = data

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **by_name: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            file = TomlConfigSettingsSource(settings_cls, path)
            return by_name["init_settings"], by_name["env_settings"], file

    try:
        _refuse_unknown_variables(os.environ)
        loaded = Loaded(**overrides)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    except PydanticSettingsError as error:
        raise SettingsError(f"{error}; a list or a table in a variable is written as JSON") from None
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(problem) for problem in error.errors())) from None
    values = {name: getattr(loaded, name) for name in Settings.model_fields}
    return Settings.model_construct(**values | {"providers": loaded.providers | _from_environment(loaded.providers)})


def setting_names(section: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every setting by its dotted name; `NAME` stands for a provider's."""
    for name, field in section.model_fields.items():
        if table := _table(field.annotation):
            yield from setting_names(table, f"{prefix}{name}.NAME." if name == "providers" else f"{prefix}{name}.")
        else:
            yield prefix + name


def _table(annotation: Any) -> type[Section] | None:
    """The section that a field holds, itself or as the values of a dict."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = {name.upper().replace(".", "_") for name in setting_names() if "NAME" not in name} | {"PROVIDERS", "CONFIG"}
    for variable in environment:
        if variable.startswith(PREFIX) and (name := variable.removeprefix(PREFIX)) not in known:
            raise SettingsError(f"unknown variable {variable}{_nearest(name, known, PREFIX)}")


def _nearest(name: str, known: set[str], prefix: str = "") -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {prefix}{near[0]}?" if near else f"; there are: {', '.join(sorted(known))}"


def _explain(problem: Any) -> str:
    """One problem that pydantic found, without the value: it may be a key."""
    *parents, name = map(str, problem["loc"])
    dotted = ".".join([*parents, name])
    if problem["type"] != "extra_forbidden":
        return f"setting {dotted}: {problem['msg'].removeprefix('Value error, ')}"
    section: type[BaseModel] = Settings
    for parent in parents:
        section = (
            _table(section.model_fields[parent].annotation) or section if parent in section.model_fields else section
        )
    prefix = "".join(f"{parent}." for parent in parents)
    return f"unknown setting {dotted}{_nearest(name, set(section.model_fields), prefix)}"


def _from_environment(tables: Mapping[str, ProviderSettings]) -> dict[str, ProviderSettings]:
    """The well-known services whose key is set, and Local, each unless a table has its name."""
    taken = {name.casefold() for name in tables}
    found = {
        service.name: ProviderSettings(
            wire="openai",
            base_url=service.base_url,
            api_key=SecretStr(key),
            default_model=service.default_model,
        )
        for service in KNOWN_SERVICES
        if service.name.casefold() not in taken and (key := os.environ.get(service.variable, "").strip())
    }
    if "local" not in taken:
        found["Local"] = ProviderSettings(wire="local")
    return found


def exposed_without_key(server: ServerSettings) -> bool:
    """Whether others than this machine could reach a server that asks for no key."""
    try:
        loopback = ip_address(server.host).is_loopback
    except ValueError:
        loopback = server.host == "localhost"
    return not loopback and server.key is None
