"""Who turns the speech of uploads into text, as the setting `buckets.transcriber` says."""

from pathlib import Path
from typing import TYPE_CHECKING

from mediary.conversations.choice.directory import ProviderDirectory
from mediary.errors import NotFoundError, SettingsError
from mediary.formats import Format
from mediary.providers.base import Transcribes

if TYPE_CHECKING:
    from mediary.buckets.media import Transcribe


def transcriber(providers: ProviderDirectory, setting: str | None) -> "Transcribe | None":
    """The provider of the setting, `NAME` or `NAME/model`; SettingsError if there is none, or if it cannot do it."""
    if not setting:
        return None
    name, _, model = setting.partition("/")
    try:
        provider = providers.get(name)
    except NotFoundError as error:
        raise SettingsError(f"setting buckets.transcriber: {error.message}") from None
    if not isinstance(provider, Transcribes):
        raise SettingsError(f"setting buckets.transcriber: {provider.name} cannot turn speech into text")

    async def transcribe(file: Path, kind: Format, language: str | None) -> str:
        return await provider.transcribe(file, kind.media_type, language=language, model=model or None)

    return transcribe
