"""Media that a person brings: a file of this machine, a URL, bytes."""

import asyncio
import os
import re
import stat
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mediary.data_uris import is_data_uri
from mediary.errors import BadRequestError, NotFoundError
from mediary.formats import Format, is_allowed_extension
from mediary.media.incoming import SLICE, Source, read_response, read_text
from mediary.media.item import MediaItem
from mediary.media.receive import About, file_name, keep
from mediary.names import get_filename, secure_filename, words_in
from mediary.net.download import open_download
from mediary.storage.files import in_thread

if TYPE_CHECKING:
    from mediary.media.library import MediaLibrary

# `{unix seconds}_{words}_{16 hex}{.ext}`: a file that was in a library before keeps its name.
_LIBRARY_NAME = re.compile(r"(?P<seconds>[0-9]{10})_(?:(?P<words>.+)_)?[0-9a-f]{16}(?:-[0-9]+)?\.[a-z0-9]+")
_TEN_DIGITS = range(10**9, 10**10)

Brought = str | Path | bytes | AsyncIterable[bytes]


async def add(library: "MediaLibrary", source: Brought, about: About) -> MediaItem:
    """`MediaLibrary.add`, which says what it does."""
    async with _opened(library, source) as (arriving, path):
        name = partial(_name_for, path, arriving, about)
        received = await keep(arriving, replace(about, source_url=arriving.url), library, name)
    return await library.describe(received.file.name)


@asynccontextmanager
async def _opened(library: "MediaLibrary", source: Brought) -> AsyncIterator[tuple[Source, Path | None]]:
    """What was brought as a stream, and where it lies if that is on this machine."""
    if isinstance(source, str) and source[:8].lower().startswith(("http://", "https://")):
        async with open_download(library.http, source, max_bytes=library.max_download_bytes) as download:
            # The row holds the URL that was asked for; a redirect may lead to one that ends soon.
            yield replace(read_response(download), url=source), None
    elif isinstance(source, str) and is_data_uri(source):
        yield read_text(source), None
    elif isinstance(source, str | Path):
        path = Path(source)
        with _explained(path):
            file, modified = await asyncio.to_thread(_open, path)
        with file:
            yield Source(_blocks(file, path), timestamp=modified), path
    else:
        yield read_response(source), None


def _open(path: Path) -> tuple[BinaryIO, int | None]:
    """A file, and its time where a name can begin with it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # no FIFO is waited for
    file = os.fdopen(descriptor, "rb", buffering=0)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise BadRequestError(f"{path} is no file")
    modified = int(status.st_mtime)
    return file, modified if modified in _TEN_DIGITS and modified <= time.time() else None


async def _blocks(file: BinaryIO, path: Path) -> AsyncGenerator[bytes, None]:
    with _explained(path):
        while block := await in_thread(partial(file.read, SLICE)):
            yield block


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """The system's errors about a file of the caller's as errors of the product."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"there is no file {path}") from None
    except OSError as error:
        raise BadRequestError(f"{path} cannot be read: {(error.strerror or 'unknown reason').lower()}") from error
    except ValueError as error:  # a NUL
        raise BadRequestError(f"{str(path)!r} is no path: {error}") from error


def _name_for(path: Path | None, source: Source, about: About, found: Format) -> str:
    """The name of a file that is added: its own if that is one of a library, else made of its words and its time."""
    if path is None:
        return file_name(source, about, found)
    known, claimed = _LIBRARY_NAME.fullmatch(path.name), is_allowed_extension(path.name)
    is_safe = known and secure_filename(known["words"] or "") == (known["words"] or "")
    if is_safe and claimed and claimed.media_type == found.media_type:
        return path.name
    return get_filename(about.tags, about.alt or words_in(path.name), found.extension, "", source.timestamp)
