"""Reads the settings: the file, MEDIARY_* and the variables that well-known services have; nothing else reads them."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, TomlConfigSettingsSource
from pydantic_settings import SettingsError as PydanticSettingsError

from mediary.errors import SettingsError
from mediary.settings.sections import PREFIX, ProviderSettings, Section, Settings, UploadPolicy, WebSearchSettings


class KnownService(BaseModel):
    """A service that a variable of the environment is enough to configure."""

    name: str
    variable: str
    base_url: str
    default_model: str
    wire: str = "openai"
    uploads: str | None = None


KNOWN_SERVICES = (
    KnownService(
        name="OpenAI",
        variable="OPENAI_API_KEY",
        base_url="https://api.openai.com/v1",
        default_model="gpt-4o-mini",
        uploads="openai_files",
    ),
    KnownService(
        name="Anthropic",
        variable="ANTHROPIC_API_KEY",
        base_url="https://api.anthropic.com/v1",
        default_model="claude-sonnet-5-5",
        wire="anthropic",
    ),
    KnownService(
        name="Gemini",
        variable="GEMINI_API_KEY",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        default_model="gemini-3.8-flash",
        wire="gemini",
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
        uploads="mistral_files",
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
    KnownService(
        name="ElevenLabs",
        variable="ELEVENLABS_API_KEY",
        base_url="https://api.elevenlabs.io/v1",
        default_model="eleven_multilingual_v2",
        wire="elevenlabs",
    ),
)

SEARCH_KEYS = {"brave": "BRAVE_API_KEY", "tavily": "TAVILY_API_KEY"}
"""The variables that hold the keys of web search engines; one of them is enough to search with that engine."""


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
    values["providers"] = loaded.providers | _from_environment(loaded.providers)
    values["websearch"] = _with_key(loaded.websearch)
    return Settings.model_construct(**values)


def setting_names(section: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every setting by its dotted name; `NAME` stands for one that the operator chose."""
    for name, field in section.model_fields.items():
        if table := _table(field.annotation):
            yield from setting_names(
                table, f"{prefix}{name}.NAME." if _is_named(field.annotation) else f"{prefix}{name}."
            )
        else:
            yield prefix + name


def _is_named(annotation: Any) -> bool:
    """Whether a field holds tables by name."""
    return get_origin(annotation) is dict


def _table(annotation: Any) -> type[Section] | None:
    """The section that a field holds, itself or as the values of a dict."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = {name.upper().replace(".", "_") for name in setting_names() if "NAME" not in name} | {
        "PROVIDERS",
        "UPLOADS",
        "CONFIG",
    }
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
            wire=service.wire,
            base_url=service.base_url,
            api_key=SecretStr(key),
            default_model=service.default_model,
            uploads=UploadPolicy(flow=service.uploads) if service.uploads else None,
        )
        for service in KNOWN_SERVICES
        if service.name.casefold() not in taken and (key := os.environ.get(service.variable, "").strip())
    }
    if "local" not in taken:
        found["Local"] = ProviderSettings(wire="local")
    return found


def _with_key(table: WebSearchSettings) -> WebSearchSettings:
    """The web search with the key that the environment has for its engine, or for one where no engine is named."""
    if table.api_key is None:
        for engine, variable in SEARCH_KEYS.items():
            key = os.environ.get(variable, "").strip()
            if key and table.engine in (None, engine):
                return table.model_copy(update={"engine": engine, "api_key": SecretStr(key)})
    return table
