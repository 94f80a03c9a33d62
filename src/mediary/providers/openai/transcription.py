"""Speech to text by `/audio/transcriptions`."""

import asyncio
from pathlib import Path

import msgspec

from mediary.errors import NotFoundError, ProviderError, TooLargeError
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.form import FileOnDisk, Form
from mediary.providers.http.refusals import error_for, read_words
from mediary.providers.http.service import Service

MAX_FILE = 25 * 1024 * 1024
"""Bytes of a file that the services take."""
TIMEOUT = 600.0
"""Seconds that a transcript may take."""
_MAX_ANSWER = 16 * 1024 * 1024


class Transcript(msgspec.Struct):
    """The answer of `/audio/transcriptions`."""

    text: str | None = None


_transcripts = msgspec.json.Decoder(Transcript, strict=False)


async def transcribe(service: Service, file: Path, media_type: str, language: str | None, model: str) -> str:
    """What is said in a file; TooLargeError for one that the services do not take."""
    try:
        size = (await asyncio.to_thread(file.stat)).st_size
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {file.name!r}") from None
    if size > MAX_FILE:
        raise TooLargeError(f"{service.name} takes sounds of {MAX_FILE // 1024**2} MB at most, and this has more")
    fields = {"model": model, "response_format": "json"}
    if language:
        fields["language"] = language.partition("-")[0].lower()
    form = Form(fields.items(), "file", file.name, media_type, FileOnDisk(file, size))
    # There is nothing to hear until all has been listened to.
    async with service.open(
        "POST", "/audio/transcriptions", total=TIMEOUT, body=form, content_type=form.content_type
    ) as answer:
        return _text(service, await answer.read(_MAX_ANSWER), answer.content_type)


def _text(service: Service, body: bytes, content_type: str) -> str:
    """The transcript; some services answer with plain text whatever they are asked for."""
    if content_type.startswith("text/plain"):
        return body.decode("utf-8", "replace").strip()
    try:
        text = decode(_transcripts, body).text
    except UnreadableError:
        raise ProviderError(f"{service.name}: its transcript cannot be read: {read_words(body).message}") from None
    if text is None:
        raise error_for(service.name, read_words(body))
    return text.strip()
