"""Media in: from a provider's answer or a URL to a file of the library."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, overload
from urllib.parse import unquote, urlsplit

from mediary.data_uris import is_data_uri
from mediary.errors import BadRequestError, MediaryError, NotFoundError
from mediary.media.directories import ensure_media_dir
from mediary.media.incoming import Incoming, Source, read_response, read_text
from mediary.media.library import MediaLibrary, media_url
from mediary.media.receive import About, Arrived, file_name, keep, media_item, receive
from mediary.media.responses import MediaResponse, media_response
from mediary.media.target import stage_target
from mediary.names import with_source_url
from mediary.net.client import HttpClient
from mediary.net.download import Download, open_download
from mediary.storage.base import HasPath, ReplacesFiles, Staged, Store, StoredFile
from mediary.tasks import all_of

logger = logging.getLogger(__name__)

LOCAL_PATHS = ("/media/", "/images/", "/thumbnail/", "/files/")
PARALLEL = 8
"""Downloads of one call that run at once."""

Copied = tuple[str, Path | None]


async def save_response_media(
    response: Incoming,
    prompt: str = "",
    tags: Sequence[str] = (),
    transcript: str | None = None,
    content_type: str | None = None,
    *,
    library: MediaLibrary | None = None,
    provider: str | None = None,
    model: str | None = None,
    about: About | None = None,
) -> AsyncGenerator[MediaResponse, None]:
    """Keep the media of a provider's answer; yields an ImageResponse, AudioResponse or VideoResponse with its URL.

    `response` is a mapping with `data`, `mimeType` and `transcript`, base64 text, a data URI, bytes, or a stream:
    chunks of bytes, a `Download`, a response of aiohttp. The bytes decide the type; `content_type` only tells a sound
    from a video where both come in the same container. Without a library the media folder of the current folder is
    used. `about` says what else is written down: the negative prompt, seed, owner, parent.

    UnsupportedTypeError, BadRequestError (no bytes, broken base64), TooLargeError, StoreError or NoSpaceError, and what
    reading the stream raises.
    """
    source = read_response(response, content_type, transcript)
    about = about or About()
    about = replace(
        about,
        prompt=prompt or about.prompt,
        alt=about.alt or prompt or about.prompt,
        tags=tags or about.tags,
        provider=provider or about.provider,
        model=model or about.model,
        source_url=source.url,
    )
    async with source, _opened(library) as opened:
        received = await keep(source, about, opened)
    kind = received.format.kind
    words = source.transcript if kind == "audio" else about.alt
    size = dict(zip(("width", "height"), received.dimensions or (), strict=False))
    yield media_response(kind, media_url(received.file.name), words, source_url=source.url, **size)


@overload
async def copy_media(
    images: Sequence[str],
    cookies: Mapping[str, str] | None = ...,
    headers: Mapping[str, str] | None = ...,
    proxy: str | None = ...,
    alt: str = ...,
    tags: Sequence[str] | None = ...,
    add_url: bool | str = ...,
    target: str | Path | None = ...,
    thumbnail: bool = ...,
    ssl: bool | None = ...,
    timeout: float | None = ...,  # noqa: ASYNC109
    return_target: Literal[False] = ...,
    *,
    library: MediaLibrary | None = ...,
    trusted_origin: str | None = ...,
    prompt: str | None = ...,
    provider: str | None = ...,
    model: str | None = ...,
    about: About | None = ...,
) -> list[str]: ...


@overload
async def copy_media(
    images: Sequence[str],
    cookies: Mapping[str, str] | None = ...,
    headers: Mapping[str, str] | None = ...,
    proxy: str | None = ...,
    alt: str = ...,
    tags: Sequence[str] | None = ...,
    add_url: bool | str = ...,
    target: str | Path | None = ...,
    thumbnail: bool = ...,
    ssl: bool | None = ...,
    timeout: float | None = ...,  # noqa: ASYNC109
    *,
    return_target: Literal[True],
    library: MediaLibrary | None = ...,
    trusted_origin: str | None = ...,
    prompt: str | None = ...,
    provider: str | None = ...,
    model: str | None = ...,
    about: About | None = ...,
) -> list[Copied]: ...


async def copy_media(
    images: Sequence[str],
    cookies: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    proxy: str | None = None,
    alt: str = "",
    tags: Sequence[str] | None = None,
    add_url: bool | str = True,
    target: str | Path | None = None,
    thumbnail: bool = False,
    ssl: bool | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - it spans a whole download
    return_target: bool = False,
    *,
    library: MediaLibrary | None = None,
    trusted_origin: str | None = None,
    prompt: str | None = None,
    provider: str | None = None,
    model: str | None = None,
    about: About | None = None,
) -> list[str] | list[Copied]:
    """Copy media from URLs and data URIs into the library; the answers are in the order of `images`.

    What cannot be copied gives its own URL back, and the log says why; paths of this server are given back as they are.

    - `cookies`, `headers`, `proxy`, `timeout` (seconds), `ssl` (False checks no certificate): for the requests.
    - `alt`, `tags`: for the names of the files.
    - `add_url`: True appends the source as `?url=`, a text is appended in its place; never where cookies or headers
      were needed, for the source alone would then lead nowhere.
    - `target`: the path of the file, for a single image; what is there is replaced. Its answer is `/media/…` if it lies
      in the media folder, else a `file:` URL.
    - `thumbnail`: into the thumbnails' store, served as `/thumbnail/…`.
    - `return_target`: answers are `(url, path)`; the path is None where no file lies on this machine.
    - `library`: by default the media folder of the current folder, without a database.
    - `trusted_origin`: a URL whose origin needs no leave of the guard.
    - `about`: what else is written down: the negative prompt, seed, owner, parent.
    """
    if target is not None and len(images) > 1:
        raise BadRequestError("a target is for one image")
    about = about or About()
    about = replace(
        about,
        prompt=(about.prompt or alt) if prompt is None else prompt,
        alt=alt or about.alt,
        tags=tuple(tags or about.tags),
        provider=provider or about.provider,
        model=model or about.model,
    )
    async with _opened(library) as opened:
        fetch = partial(
            open_download, opened.http, cookies=cookies, headers=headers, proxy=proxy, ssl=ssl is not False,
            timeout=timeout, max_bytes=opened.max_download_bytes, trusted_origin=trusted_origin,
        )  # fmt: skip
        into = partial(_CopyToTarget, target=Path(target)) if target else _CopiesToThumbnails if thumbnail else _Copies
        copies = into(opened, about, fetch, False if cookies or headers else add_url)
        copied = await all_of(map(copies.copy, images))
    return copied if return_target else [url for url, _ in copied]


@dataclass(slots=True, frozen=True)
class _Copies:
    """The copies of one call, into the library."""

    library: MediaLibrary
    about: About
    fetch: Callable[[str], AbstractAsyncContextManager[Download]]
    add_url: bool | str
    gate: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, PARALLEL), kw_only=True)

    async def copy(self, image: str) -> Copied:
        """Copy one; what cannot be copied keeps its URL."""
        if image.startswith(LOCAL_PATHS):
            return image, _path(self.library.store, unquote(urlsplit(image).path.rpartition("/")[2]))
        try:
            async with self.gate:
                return await self._fetch(image)
        except MediaryError as error:
            logger.warning("the media of %s are not copied: %s", _server(image), error.message)
            return image, None

    async def _fetch(self, image: str) -> Copied:
        if is_data_uri(image):
            url, path = await self.keep(read_text(image), self.about)
            source = None
        else:
            async with self.fetch(image) as download:
                # The name and the row hold the URL that was asked for; a redirect may lead to one that ends soon.
                arriving = replace(read_response(download), url=image)
                url, path = await self.keep(arriving, replace(self.about, source_url=image))
            source = image
        shown = self.add_url if isinstance(self.add_url, str) else source if self.add_url else None
        return with_source_url(url, shown) if shown else url, path

    async def keep(self, source: Source, about: About) -> Copied:
        """Store what arrives: where it is served, and where it lies."""
        received = await keep(source, about, self.library)
        return media_url(received.file.name), _path(self.library.store, received.file.name)


@dataclass(slots=True, frozen=True)
class _CopiesToThumbnails(_Copies):
    """The copies of one call, as thumbnails: they get no row in the catalog."""

    async def keep(self, source: Source, about: About) -> Copied:
        store = self.library.thumbnails

        async def commit(staged: Staged, arrived: Arrived) -> StoredFile:
            return await staged.commit(file_name(source, about, arrived.format), arrived.sha256)

        received = await receive(source, store.stage, commit, self.library.max_bytes)
        return media_url(received.file.name, "thumbnail"), _path(store, received.file.name)


@dataclass(slots=True, frozen=True)
class _CopyToTarget(_Copies):
    """The copy of a call that names its path."""

    target: Path = field(kw_only=True)

    async def keep(self, source: Source, about: About) -> Copied:
        target, store = self.target.absolute(), self.library.store
        is_item = _path(store, target.name) == target
        # What a killed process leaves half-written is swept up in the store, and not in somebody else's folder.
        stage = (
            store.stage_replacement if is_item and isinstance(store, ReplacesFiles) else partial(stage_target, target)
        )

        async def commit(staged: Staged, arrived: Arrived) -> StoredFile:
            return await staged.commit(target.name, arrived.sha256)

        received = await receive(source, stage, commit, self.library.max_bytes)
        if not is_item:
            return target.as_uri(), target
        await self.library.record(partial(media_item, received, about, received.file))
        return media_url(target.name), target


@asynccontextmanager
async def _opened(library: MediaLibrary | None) -> AsyncIterator[MediaLibrary]:
    """The library that was given, or for this once the one of the current folder, without a database."""
    if library is not None:
        yield library
        return
    # Only who brings no library needs the settings' defaults.
    from mediary.settings import NetSettings

    http = HttpClient(NetSettings())
    try:
        yield MediaLibrary.local(await asyncio.to_thread(ensure_media_dir), http)
    finally:
        await http.close()


def _path(store: Store, name: str) -> Path | None:
    """Where a file lies on this machine, if it does."""
    if not isinstance(store, HasPath):
        return None
    try:
        return store.path(name).absolute()
    except NotFoundError:
        return None


def _server(image: str) -> str:
    """The host of a URL, for the log: path and query may hold keys."""
    if is_data_uri(image):
        return "a data URI"
    try:
        return urlsplit(image).hostname or "a URL without a server"
    except ValueError:
        return "a broken URL"
