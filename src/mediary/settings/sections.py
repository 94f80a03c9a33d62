"""The tables of `mediary.toml`: frozen models, each with its keys, defaults and what they mean."""

from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from mediary.settings.values import Secret, Url, check_name, check_origin, plain_store

PREFIX = "MEDIARY_"
GIB = 1024**3


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
    seal_key: Secret | None = Field(
        None,
        description="What cookies and unfinished uploads are encrypted with in the database: the same for all "
        "nodes that share one. Default: `seal.key` in the data folder, made at first use.",
    )
    allow_origins: tuple[Annotated[str, AfterValidator(check_origin)], ...] = Field(
        (), description="Other sites whose pages may use this server, such as `https://chat.example.com`."
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
        description="What the pictures, sounds and texts that are sent within a question may have together, in bytes.",
    )
    max_upload_bytes: int = Field(
        4 * GIB,
        ge=1024,
        description="What the files of a question, or of a request to upload some, may have together, in bytes.",
    )
    inline_bytes: int = Field(
        1024**2,
        ge=0,
        description="Files up to this size are sent within the question the first time, though the provider takes "
        "uploads; larger ones, and those that come again, are uploaded once.",
    )


class RunSettings(Section):
    """Runs: what is kept of the turns of late, so that a client that was cut off can read on."""

    keep_hours: float = Field(24.0, ge=0, description="How long the events of a turn are kept; 0 keeps none.")


class MemorySettings(Section):
    """Memory: what people asked to keep."""

    embeddings: str | None = Field(
        None, description="The model that places texts by meaning, as `NAME/model`; none: search by words alone."
    )
    results: int = Field(8, ge=1, le=100, description="Items that a conversation with `memory` brings in at most.")
    max_item_bytes: int = Field(64 * 1024, ge=256, description="Largest item, in bytes.")


class WebSearchSettings(Section):
    """Search on the web, for conversations that ask for it."""

    engine: str | None = Field(
        None,
        description="`searxng`, `brave`, `tavily` or `ddgs`. Default: `brave` or `tavily`, if the environment has "
        "BRAVE_API_KEY or TAVILY_API_KEY; else there is no web search.",
    )
    url: Url | None = Field(None, description="Where the engine is, if it is not the service itself; for `searxng`.")
    api_key: Secret | None = Field(None, description="The key, where the engine takes one: `env:NAME`, `file:PATH`.")
    results: int = Field(5, ge=1, le=20, description="Results that are looked at.")
    fetch: bool = Field(True, description="Read the pages found, not only what the engine says of them.")
    seconds: float = Field(8.0, gt=0, description="How long searching and reading may take together.")
    language: str | None = Field(
        None, pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$", description="Language of the results, such as `de` or `de-AT`."
    )


class UsageSettings(Section):
    """Usage records and statistics."""

    keep_days: float = Field(
        400.0,
        ge=0,
        description="How long the records of single turns are kept; the sums of each day stay. 0: only sums.",
    )
    prices: Path | None = Field(None, description="A price table in the place of the one that comes with Mediary.")
    trace: Url | None = Field(
        None, description="Where OpenTelemetry traces go, such as `http://localhost:4318`; takes the extra `otel`."
    )


class ShareSettings(Section):
    """Shared chats."""

    max_bytes: int = Field(8 * 1024**2, ge=1024, description="Largest chat that can be shared, in bytes.")


class SpeechSettings(Section):
    """Speech on request: `GET /backend-api/v2/synthesize/…`."""

    cache_bytes: int = Field(GIB, ge=0, description="What is kept of speech that was made, in bytes; 0 keeps none.")


class CreateSettings(Section):
    """Answers on request: `GET /backend-api/v2/create`."""

    cache_bytes: int = Field(
        64 * 1024**2, ge=0, description="What is kept of answers with `cache=<id>`, in bytes; 0 keeps none."
    )
    cache_days: float = Field(30, gt=0, le=36500, description="How long such an answer is given again.")


class UploadPolicy(Section):
    """How files are uploaded: the flow, what it remembers, and the flow's own keys, which it checks itself."""

    model_config = ConfigDict(frozen=True, extra="allow")

    flow: str = Field(description="The upload protocol, such as `openai_files`; its own keys stand beside it.")
    image_cache: bool = Field(True, description="Whether a file that was uploaded once is used again.")
    cache_entries: int | None = Field(
        None, ge=1, description="Files that are remembered; default: as the flow has it, mostly all."
    )
    cache_keep: int | None = Field(
        None, ge=0, description="How many of them are left when there would be more; default: nine of ten."
    )
    cache_seconds: float | None = Field(
        None, gt=0, description="How long one is used again; default: as long as the provider keeps it."
    )

    @property
    def own(self) -> dict[str, Any]:
        """The flow's own keys."""
        return dict(self.model_extra or {})


class UploadSettings(UploadPolicy):
    """A place to upload to that is no provider of conversations: `[uploads.NAME]`."""

    label: str | None = Field(None, description="The name people see.")
    base_url: Url = Field(description="Where the service is, such as `https://chat.example.com`.")
    api_key: Secret | None = Field(None, description="The token, where the flow takes one: `env:NAME`, `file:PATH`.")
    cookies: dict[str, Secret] = Field({}, description="Cookies by name; those of `upload_cookies` are used as well.")
    headers: dict[str, Secret] = Field({}, description="Further headers for the service itself.")


def _spelled_out(uploads: Any) -> Any:
    """`uploads = "openai_files"` is short for a table with that flow."""
    return {"flow": uploads} if isinstance(uploads, str) else uploads


class ProviderSettings(Section):
    """A provider: `[providers.NAME]`."""

    wire: str = Field(
        description="The protocol it speaks: `openai`, `openai_responses`, `anthropic`, `gemini`, `ollama`, "
        "`elevenlabs`, `local`."
    )
    label: str | None = Field(None, description="The name people see.")
    base_url: Url | None = Field(None, description="Where its API begins, such as `https://api.openai.com/v1`.")
    api_key: Secret | None = Field(None, description="`env:NAME`, `file:PATH` or the key itself.")
    default_model: str | None = Field(None, description="The model for requests that name none.")
    models: tuple[str, ...] = Field((), description="Its models, where the service cannot list them.")
    image_models: tuple[str, ...] = Field((), description="Models that make pictures, where their names do not tell.")
    speech_models: tuple[str, ...] = Field((), description="Models that make speech, where their names do not tell.")
    video_models: tuple[str, ...] = Field((), description="Models that make videos, where their names do not tell.")
    vision_models: tuple[str, ...] = Field((), description="Models that take pictures, where their names do not tell.")
    context_tokens: int | None = Field(
        None, ge=256, description="Tokens that its models take, where the service does not tell."
    )
    voice: str | None = Field(None, description="The voice for speech.")
    uploads: Annotated[UploadPolicy | None, BeforeValidator(_spelled_out)] = Field(
        None,
        description="How it takes files: a flow such as `openai_files`, or a table with `flow` and its keys; `inline` "
        "for none. Default: what its wire implies.",
    )
    takes: tuple[str, ...] = Field(
        (), description="Media types that it takes within a question, such as `video/*`, where its wire does not tell."
    )
    inline_bytes: int | None = Field(
        None, ge=0, description="Largest file that is sent within a question; default: what its wire takes."
    )
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
    check_version: bool = Field(True, description="Look up which version of Mediary is the latest, once a day at most.")
    version_url: Url = Field(
        "https://api.deps.dev/v3/systems/pypi/packages/mediary",
        description="Where that is looked up; an index that answers under `/pypi/mediary/json` will do, too.",
    )
    models: dict[str, tuple[str, ...]] = Field(
        {}, description='Groups of models by name, such as `fast = ["OpenAI/gpt-4o-mini", "Groq/llama-3.3-70b"]`.'
    )
    server: ServerSettings = ServerSettings()
    net: NetSettings = NetSettings()
    media: MediaSettings = MediaSettings()
    buckets: BucketSettings = BucketSettings()
    database: DatabaseSettings = DatabaseSettings()
    log: LogSettings = LogSettings()
    conversation: ConversationSettings = ConversationSettings()
    runs: RunSettings = RunSettings()
    memory: MemorySettings = MemorySettings()
    websearch: WebSearchSettings = WebSearchSettings()
    usage: UsageSettings = UsageSettings()
    shares: ShareSettings = ShareSettings()
    speech: SpeechSettings = SpeechSettings()
    create: CreateSettings = CreateSettings()
    providers: dict[Annotated[str, AfterValidator(check_name)], ProviderSettings] = Field(
        {}, description="Providers by name, in the order of preference."
    )
    uploads: dict[Annotated[str, AfterValidator(check_name)], UploadSettings] = Field(
        {}, description="Further places to upload to, by name."
    )

    @property
    def bucket_dir(self) -> Path:
        """The folder of the buckets."""
        return self.buckets.folder or self.data / "har_and_cookies" / "buckets"


def exposed_without_key(server: ServerSettings) -> bool:
    """Whether others than this machine could reach a server that asks for no key."""
    try:
        loopback = ip_address(server.host).is_loopback
    except ValueError:
        loopback = server.host == "localhost"
    return not loopback and server.key is None
