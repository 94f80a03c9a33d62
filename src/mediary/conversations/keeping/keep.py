"""What a provider made goes into the library before anybody hears of it; what a person brought goes there beside."""

import logging
from collections.abc import Iterable
from pathlib import PurePath

from mediary.conversations.attaching.held import Held
from mediary.errors import MediaryError
from mediary.events import Content, Event, Log, Media
from mediary.formats import by_media_type
from mediary.media.incoming import read_response
from mediary.media.intake import copy_media, save_response_media
from mediary.media.library import MediaLibrary
from mediary.media.receive import About, keep
from mediary.media.responses import MediaResponse, media_response
from mediary.providers.base import Provider, TurnRequest

logger = logging.getLogger(__name__)


async def keep_made(
    media: Media,
    library: MediaLibrary,
    provider: Provider,
    request: TurnRequest,
    *,
    download: bool,
    owner: str | None = None,
    parent: str | None = None,
) -> list[Event]:
    """Keep a made picture, sound or video; the events that announce it.

    Without `download` a URL of the provider's is passed on as it is, unless it needs the provider's headers or cookies.
    `owner` is the label of who asked, `parent` the library's name of the picture that this one was made from.
    """
    about = _about(media, provider, request, owner, parent)
    if media.url is None:
        source = media.data if media.stream is None else media.stream
        assert source is not None, "made media come as data, as a stream or as a URL"
        kept = save_response_media(
            source, transcript=media.transcript, content_type=media.content_type, library=library, about=about
        )
        return [announce(response) async for response in kept]
    if not download and not (media.headers or media.cookies):
        return [announce(media_response(media.kind, media.url, about.alt))]
    [url] = await copy_media(
        [media.url],
        cookies=media.cookies or None,
        headers=media.headers or None,
        library=library,
        trusted_origin=media.trusted_origin,
        about=about,
    )
    announced = announce(media_response(media.kind, url, about.alt))
    if url == media.url:
        return [Log(log="this could not be fetched from the provider and is not kept: its own URL follows"), announced]
    return [announced]


def _about(media: Media, provider: Provider, request: TurnRequest, owner: str | None, parent: str | None) -> About:
    """What is written down of a made item: what was asked for, of whom, by whom."""
    options = request.options
    return About(
        prompt=request.prompt,
        negative_prompt=options.get("negative_prompt", ""),
        alt=media.alt or request.prompt,
        tags=(request.model,),
        provider=provider.name,
        model=request.model,
        seed=str(options["seed"]) if "seed" in options else None,
        steps=options.get("steps"),
        owner=owner,
        parent=parent,
    )


async def keep_brought(files: Iterable[Held], library: MediaLibrary, owner: str | None = None) -> dict[Held, str]:
    """Keep the pictures, sounds and videos of a question, each once: clients send them again with every turn.

    Their names in the library, without those that could not be kept.
    """
    names: dict[Held, str] = {}
    for file in files:
        if by_media_type(file.media_type):
            try:
                names[file] = await _keep_once(file, library, owner)
            except MediaryError as error:
                logger.warning("an attachment is not kept", extra={"cause": error.message})
    return names


async def _keep_once(file: Held, library: MediaLibrary, owner: str | None) -> str:
    """The name of the item with these bytes, which becomes one if there is none yet."""
    digests = await file.digested()
    if twin := await (await library.catalog()).twin(digests.sha256):
        return twin.name
    about = About(alt=PurePath(file.name).stem, tags=("attachment",), owner=owner)
    return (await keep(read_response(file.content.read()), about, library)).file.name


def announce(response: MediaResponse) -> Content:
    """Kept media as the event that a client shows."""
    event = Content(content=str(response), urls=list(response.urls), alt=response.alt)
    if "width" in response.options:
        event.width, event.height = response.options["width"], response.options["height"]
    return event
