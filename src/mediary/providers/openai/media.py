"""Pictures by `/images/generations` and `/images/edits`, speech by `/audio/speech`."""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urljoin

from mediary.errors import ProviderError, StreamInterruptedError
from mediary.events import Event, Finish, FinishReason, Media, Usage
from mediary.providers.base import Image, TurnRequest
from mediary.providers.http.counting import count_tokens
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.encoding import encode
from mediary.providers.http.form import encode_form
from mediary.providers.http.pictures import originals, picture_size
from mediary.providers.http.redaction import scrub
from mediary.providers.http.refusals import error_for, read_words, words_of
from mediary.providers.http.service import Answer, Service
from mediary.providers.openai.messages import DEFAULT_VOICE, sound_option
from mediary.providers.openai.wav import PCM_RATE, SOUND_TYPES, as_wav
from mediary.providers.openai.wire import MadePictures, made_pictures

MAX_PICTURES = 256 * 1024 * 1024
"""Bytes of an answer with pictures."""
PICTURE_OPTIONS = ("n", "seed", "negative_prompt", "steps")
"""Options that go to the service as they are."""
MAX_SAMPLES = 256 * 1024 * 1024
"""Bytes of speech that comes as bare samples."""

# Bytes from which decoding an answer is worth a thread.
_HEAVY = 1024 * 1024


def link_media(service: Service, url: str, alt: str = "") -> Media:
    """A picture by its URL: a data URI, one of the service's own origin that wants its credentials, or any other."""
    if url.startswith("data:"):
        return Media(kind="image", data=url, alt=alt)
    try:
        url = urljoin(service.base_url.rstrip("/") + "/", url)
    except ValueError:
        raise ProviderError(f"{service.name}: sent a picture whose URL cannot be read") from None
    # Clients see the URL where it cannot be fetched: then rather one that leads nowhere than one with our key.
    url = scrub(url, service.credentials, "hidden")
    if not service.is_own(url):
        return Media(kind="image", url=url, alt=alt)
    origin = service.origin if service.trusted else None
    return Media(kind="image", url=url, alt=alt, headers=service.headers, trusted_origin=origin)


async def make_pictures(service: Service, request: TurnRequest) -> AsyncGenerator[Event | Media, None]:
    """Pictures of the prompt, or, where the last message of the user carries pictures, those edited."""
    fields = _picture_fields(request)
    if found := originals(request):
        path, (body, content_type) = "/images/edits", _edit_form(fields, found)
    else:
        path, body, content_type = "/images/generations", encode(fields), "application/json"
    # A picture comes in one piece: nothing is between.
    async with service.open("POST", path, total=request.timeout, body=body, content_type=content_type) as answer:
        made = await _read_pictures(service.name, await answer.read(MAX_PICTURES))
    for picture in made.data or ():
        alt = picture.revised_prompt or request.prompt
        if picture.b64_json:
            yield Media(kind="image", data=picture.b64_json, alt=alt)
        elif picture.url:
            yield link_media(service, picture.url, alt)
    if made.usage:
        yield Usage(usage=count_tokens(made.usage), model=request.model, provider=service.name)
    yield Finish(finish=FinishReason(reason="stop"))


def as_file(field: str, picture: Image, number: int = 1) -> tuple[str, str, str, bytes]:
    """A picture as a field of a form, with a name."""
    return (
        field,
        picture.name or f"image-{number}.{picture.media_type.rpartition('/')[2]}",
        picture.media_type,
        picture.data,
    )


def _picture_fields(request: TurnRequest) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": request.model, "prompt": request.prompt}
    fields |= {name: request.options[name] for name in PICTURE_OPTIONS if name in request.options}
    if size := picture_size(request.model, request.options):
        fields["size"] = size
    return fields


async def _read_pictures(name: str, body: bytes) -> MadePictures:
    try:
        decoding = asyncio.to_thread(decode, made_pictures, body) if len(body) > _HEAVY else None
        made: MadePictures = await decoding if decoding else decode(made_pictures, body)
    except UnreadableError:
        raise ProviderError(f"{name}: its answer cannot be read: {read_words(body).message}") from None
    if made.error:
        raise error_for(name, words_of(made.error))
    if not any(picture.b64_json or picture.url for picture in made.data or ()):
        raise ProviderError(f"{name}: made no picture")
    return made


def _edit_form(fields: dict[str, Any], pictures: list[Image]) -> tuple[bytes, str]:
    """The body of `/images/edits` and its type; several pictures are a list."""
    name = "image" if len(pictures) == 1 else "image[]"
    files = [as_file(name, picture, number) for number, picture in enumerate(pictures, 1)]
    return encode_form({field: str(value) for field, value in fields.items()}, files)


async def speak(service: Service, request: TurnRequest, voice: str | None) -> AsyncGenerator[Event | Media, None]:
    """The prompt as speech, streamed as it comes."""
    fields: dict[str, Any] = {"model": request.model, "input": request.prompt}
    fields["voice"] = sound_option(request.options, "voice") or voice or DEFAULT_VOICE
    if wanted := sound_option(request.options, "format"):
        fields["response_format"] = wanted
    if "speed" in request.options:
        fields["speed"] = request.options["speed"]
    async with service.open(
        "POST", "/audio/speech", total=request.timeout, between=request.stream_timeout, body=encode(fields)
    ) as answer:
        if not answer.head:
            raise StreamInterruptedError(f"{service.name}: answered with no sound")
        if "json" in answer.content_type or "html" in answer.content_type:
            words = read_words(await answer.read(MAX_PICTURES))
            raise error_for(service.name, words)
        yield await _sound(answer, request.prompt, wanted)
        yield Finish(finish=FinishReason(reason="stop"))


async def _sound(answer: Answer, prompt: str, wanted: str | None) -> Media:
    """The answer as media: as it streams, but bare samples are gathered first, for a WAV file begins with its size."""
    content_type = answer.content_type
    if not content_type.startswith("audio/"):
        content_type = SOUND_TYPES.get(wanted or "mp3", "")
    media = Media(kind="audio", content_type=content_type or None, alt=prompt, transcript=prompt)
    if content_type.startswith(("audio/pcm", "audio/l16")):
        rate = re.search(r"rate=(\d{4,6})", content_type)
        media.data = as_wav(await answer.read(MAX_SAMPLES), int(rate[1]) if rate else PCM_RATE)
        media.content_type = "audio/wav"
    else:
        media.stream = answer.chunks
    return media
