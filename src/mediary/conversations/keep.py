"""What a provider made goes into the library before anybody hears of it; what a person brought goes there beside."""

import asyncio
import hashlib
import logging
from collections.abc import Iterable
from pathlib import PurePath

from mediary.errors import MediaryError
from mediary.events import Content, Event, Log, Media
from mediary.media.intake import copy_media, save_response_media
from mediary.media.library import Library
from mediary.media.responses import MediaResponse, media_response
from mediary.providers.base import Audio, Image, Provider, TurnRequest

logger = logging.getLogger(__name__)


async def keep_made(
    media: Media, library: Library, provider: Provider, request: TurnRequest, *, download: bool
) -> list[Event]:
    """Keep a made picture, sound or video; the events that announce it.

    Without `download` a URL of the provider's is passed on as it is, unless it needs the provider's headers or cookies.
    """
    words = media.alt or request.prompt
    if media.url is None:
        source = media.data if media.stream is None else media.stream
        assert source is not None, "made media come as data, as a stream or as a URL"
        kept = save_response_media(
            source,
            words,
            [request.model],
            media.transcript,
            media.content_type,
            library=library,
            provider=provider.name,
            model=request.model,
        )
        return [announce(response) async for response in kept]
    if not download and not (media.headers or media.cookies):
        return [announce(media_response(media.kind, media.url, words))]
    [url] = await copy_media(
        [media.url],
        cookies=media.cookies or None,
        headers=media.headers or None,
        alt=words,
        tags=[request.model],
        library=library,
        trusted_origin=media.trusted_origin,
        provider=provider.name,
        model=request.model,
    )
    announced = announce(media_response(media.kind, url, words))
    if url == media.url:
        return [Log(log="this could not be fetched from the provider and is not kept: its own URL follows"), announced]
    return [announced]


async def keep_brought(parts: Iterable[Image | Audio], library: Library) -> None:
    """Keep the pictures and sounds of a question, each once: clients send them again with every turn."""
    for part in parts:
        try:
            digest = await asyncio.to_thread(hashlib.sha256, part.data)
            if not await library.has(digest.hexdigest()):
                words = PurePath(part.name or "").stem
                async for _ in save_response_media(part.data, words, ["attachment"], library=library):
                    pass
        except MediaryError as error:
            logger.warning("an attachment is not kept", extra={"cause": error.message})


def announce(response: MediaResponse) -> Content:
    """Kept media as the event that a client shows."""
    event = Content(content=str(response), urls=list(response.urls), alt=response.alt)
    if "width" in response.options:
        event.width, event.height = response.options["width"], response.options["height"]
    return event
