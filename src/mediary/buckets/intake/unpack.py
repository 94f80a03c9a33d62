"""Archives, unpacked in a child process into a folder of files that wait to be taken."""

import os
import time
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import ValidationError, convert

from mediary.buckets.naming import WHAT
from mediary.errors import TooLargeError, UnreadableError, UnsupportedTypeError
from mediary.extractors.recognition.detect import HEAD_BYTES, recognise
from mediary.sandbox.pool import Sandbox
from mediary.settings import BucketSettings
from mediary.storage.files import SAFELY, in_thread, translated, write_all

_MEMBERS = "mediary.extractors.archive:members"
_MEDIA_TYPE = "mediary.extractors.recognition.containers:media_type"
_ZIP = "application/zip"
_LOOK_SECONDS = 30.0
_NONSENSE = "the program that unpacks it says what makes no sense"

# Text packs to a tenth; what unpacks to more than this is made for it. What is small does no harm.
_MAX_RATIO = 100
_SMALL_BYTES = 64 * 1024**2


@dataclass(slots=True, frozen=True)
class Member:
    """A file of an archive: `original` is the archive's name and its path in there, `path` where it lies.

    `refused` says why it is not to be taken: it is an archive itself, and cannot be read.
    """

    original: str
    path: Path
    refused: str | None = None


class Unpacker:
    """Unpacks archives in the children of `sandbox`, within the limits of the settings."""

    def __init__(self, sandbox: Sandbox, settings: BucketSettings) -> None:
        self._sandbox = sandbox
        self._settings = settings

    async def unpack(self, archive: Path, name: str, media_type: str, into: Path) -> list[Member]:
        """All files of an archive, and of archives in it, in their order; `into` is an empty folder.

        TooLargeError names the limit that was hit, UnsupportedTypeError says that it holds what no archive should,
        UnreadableError that it is damaged, locked or empty. What lies in the folder then is not to be used.
        """
        packed = (await in_thread(archive.stat)).st_size
        unpacking = _Unpacking(self._sandbox, self._settings, packed, into)
        return await unpacking.run(archive, name, media_type, depth=1)


class _Unpacking:
    """An archive with all that are in it: they share one allowance of files, bytes and time."""

    def __init__(self, sandbox: Sandbox, settings: BucketSettings, packed: int, into: Path) -> None:
        self._sandbox = sandbox
        self._settings = settings
        self._left = _Left(settings, packed)
        self._shelf = _Shelf(into, self._left)

    async def run(self, archive: Path, name: str, media_type: str, depth: int) -> list[Member]:
        """The files of one archive, and of those in it."""
        files = await self._stage(archive, name, media_type)
        # Only now: to look into one takes a child, and the pool may have but one.
        return [member for file in files for member in await self._expand(file, depth)]

    async def _stage(self, archive: Path, name: str, media_type: str) -> list["_File"]:
        """Unpack one archive onto the shelf."""
        files = self._shelf.open(name)
        frames = self._sandbox.stream(
            _MEMBERS,
            *(media_type, PurePosixPath(name).name, self._left.allowance()),
            seconds=self._left.seconds,
            source=archive,
        )
        try:
            async with aclosing(frames):
                async for frame in frames:
                    await in_thread(partial(self._shelf.put, frame))
        finally:
            await in_thread(self._shelf.close)
        return files

    async def _expand(self, file: "_File", depth: int) -> list[Member]:
        """A file as it is, or, if it is an archive, its files instead of it."""
        media_type = await self._archive_type(file)
        if media_type is None:
            return [Member(file.name, file.path)]
        if depth == self._settings.max_archive_depth:
            raise TooLargeError(f"archives in it are nested more than {depth} deep (buckets.max_archive_depth)")
        began, staged = time.monotonic(), self._shelf.count
        try:
            members = await self.run(file.path, file.name, media_type, depth + 1)
        except UnreadableError as error:
            self._left.spend(time.monotonic() - began)
            await in_thread(partial(self._shelf.remove_since, staged))
            return [Member(file.name, file.path, error.message)]
        await in_thread(file.path.unlink)
        return members

    async def _archive_type(self, file: "_File") -> str | None:
        """The media type of an archive; None if it is none, or nobody can tell: then whoever takes the file says so."""
        if not file.container:
            return file.media_type
        try:
            found = await self._sandbox.run(_MEDIA_TYPE, file.name, seconds=_LOOK_SECONDS, source=file.path)
        except UnsupportedTypeError:
            return None
        return _ZIP if found == _ZIP else None


class _Left:
    """What of the limits is left; work that comes to nothing costs time, all else is bounded by its bytes."""

    def __init__(self, settings: BucketSettings, packed: int) -> None:
        self._settings = settings
        self.seconds = settings.seconds
        self._files = settings.max_archive_members
        self._bytes = min(settings.max_archive_bytes, max(_SMALL_BYTES, _MAX_RATIO * packed))
        self._too_many = f"it holds more than {self._files:,} files (buckets.max_archive_members)"
        self._too_large = (
            f"its files have more than {_size(self._bytes)} (buckets.max_archive_bytes)"
            if self._bytes == settings.max_archive_bytes
            else f"its files have more than {_size(self._bytes)}, over {_MAX_RATIO} times what it has itself"
        )

    def allowance(self) -> dict[str, int | str]:
        """The same for the child."""
        return {
            "files": self._files,
            "bytes": self._bytes,
            "too_many": self._too_many,
            "too_large": self._too_large,
        }

    def take(self, files: int, count: int) -> None:
        """Count what came; the child may be anybody's by now."""
        self._files -= files
        self._bytes -= count
        if self._files < 0:
            raise TooLargeError(self._too_many)
        if self._bytes < 0:
            raise TooLargeError(self._too_large)

    def spend(self, seconds: float) -> None:
        """Time in which nothing was gained."""
        self.seconds -= seconds
        if self.seconds <= 0:
            raise TooLargeError(f"reading what is in it takes more than {self._settings.seconds:g} s (buckets.seconds)")


@dataclass(slots=True)
class _File:
    """A file that was unpacked; an archive by its bytes has its media type, a container must be looked into."""

    name: str
    path: Path
    media_type: str | None = None
    container: bool = False


class _Shelf:
    """Where unpacked files are put, under numbers; all but `open` is done in a thread."""

    def __init__(self, folder: Path, left: _Left) -> None:
        self._folder = folder
        self._left = left
        self._files: list[_File] = []
        self._name = ""
        self._descriptor: int | None = None
        self.count = 0

    def open(self, name: str) -> list[_File]:
        """The files that come next are of the archive of this name; the list grows with them."""
        self._name = name
        self._files = []
        return self._files

    def put(self, frame: Any) -> None:
        """Write what the child says."""
        try:
            parts = convert(frame, list[tuple[str | None, bytes]])
        except ValidationError as error:
            raise UnreadableError(_NONSENSE) from error
        with translated(WHAT):
            for name, piece in parts:
                self._left.take(name is not None, len(piece))
                if name is not None:
                    self._begin(name, piece)
                if self._descriptor is None:
                    raise UnreadableError(_NONSENSE)
                write_all(self._descriptor, piece)

    def close(self) -> None:
        """No more comes for the last file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove_since(self, count: int) -> None:
        """Take back what was put here since there were `count` files."""
        for number in range(count, self.count):
            self._path(number).unlink(missing_ok=True)

    def _begin(self, name: str, piece: bytes) -> None:
        self.close()
        file = _File(f"{self._name}/{name}", self._path(self.count))
        self.count += 1
        self._descriptor = os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFELY, 0o600)
        try:
            found = recognise(piece[:HEAD_BYTES], name)
        except UnsupportedTypeError:
            pass
        else:
            file.container = found is None
            file.media_type = found.media_type if found is not None and found.sort == "archive" else None
        self._files.append(file)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}"


def _size(count: int) -> str:
    return f"{count / 1024**3:.3g} GiB" if count >= 1024**3 else f"{count / 1024**2:.3g} MiB"
