"""The files in an archive, piece by piece and within limits; runs in a child process.

Everything that an archive says of itself may be a lie: its directory is checked first, where it has one, and then what
really comes out.
"""

import bz2
import gzip
import lzma
import re
import stat
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import IO, BinaryIO, Self, cast
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from msgspec import Struct, convert

from mediary.errors import TooLargeError, UnreadableError, UnsupportedTypeError

Part = tuple[str | None, bytes]
"""Bytes of a file: of one that begins here, with its path, or more of the last one."""

PIECE_BYTES = 1024**2

_MAX_PATH_BYTES = 1024
_MAX_NAME_BYTES = 255
_DRIVE = re.compile(r"[A-Za-z]:/")
_LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}

_DAMAGE = (
    *(BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, ValueError, IndexError, OverflowError, RuntimeError),
)
"""What the libraries raise for archives that are broken, or made to break them."""


class Allowance(Struct, frozen=True):
    """How many files and bytes may come out of an archive, and what to say if there are more."""

    files: int
    bytes: int
    too_many: str
    too_large: str


class Meter:
    """Counts what comes out of an archive against what may."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self.files = 0
        self.bytes = 0

    def expect(self, files: int, size: int) -> None:
        """Refuse what will be too much, by its own words."""
        if self.files + files > self._allowance.files:
            raise TooLargeError(self._allowance.too_many)
        if self.bytes + size > self._allowance.bytes:
            raise TooLargeError(self._allowance.too_large)

    def expect_entries(self, entries: int) -> None:
        """The same for all that an archive lists: folders and litter cost little, but not nothing."""
        if entries > 4 * self._allowance.files + 1000:
            raise TooLargeError(self._allowance.too_many)

    def begin(self) -> None:
        """Another file."""
        self.expect(1, 0)
        self.files += 1

    def add(self, count: int) -> None:
        """More bytes of it."""
        self.expect(0, count)
        self.bytes += count


def members(source: BinaryIO, media_type: str, name: str, allowance: dict[str, int | str]) -> Iterator[list[Part]]:
    """The files of an archive, many small ones at a time, a large one in pieces; `name` is the archive's own.

    TooLargeError if there is more than the allowance, UnsupportedTypeError for names that lead out of the folder and
    for links and devices, UnreadableError if it is damaged, locked or empty.
    """
    meter = Meter(convert(allowance, Allowance))
    read = _READERS.get(media_type)
    if read is None:
        raise UnsupportedTypeError(f"archives of the type {media_type} are not unpacked")
    try:
        yield from _gathered(read(source, name, meter))
    except _DAMAGE as error:
        raise UnreadableError("it is damaged or cut off") from error
    if not meter.files:
        raise UnreadableError("it holds no files")


def _gathered(parts: Iterable[Part]) -> Iterator[list[Part]]:
    batch: list[Part] = []
    size = 0
    for name, piece in parts:
        batch.append((name, piece))
        size += len(piece) + len(name or "")
        if size >= PIECE_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _file(path: str, pieces: Iterable[bytes], meter: Meter) -> Iterator[Part]:
    meter.begin()
    name: str | None = path
    for piece in pieces:
        meter.add(len(piece))
        yield name, piece
        name = None
    if name is not None:
        yield name, b""


def _pieces(file: IO[bytes], size: int = PIECE_BYTES) -> Iterator[bytes]:
    return iter(lambda: file.read(size), b"")


def _path(name: str) -> str | None:
    """The path of a file in an archive; None for what some systems leave there that is nobody's.

    UnsupportedTypeError if it leads out of the folder, or is longer than names can be.
    """
    path = name.replace("\\", "/")
    if path.startswith("/") or _DRIVE.match(path):
        raise UnsupportedTypeError(f"a file in it has an absolute name: {_shown(name)}")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnsupportedTypeError(f"a file in it leads out of its folder: {_shown(name)}")
    if "\0" in path:
        raise UnsupportedTypeError(f"a file in it has a zero byte in its name: {_shown(name)}")
    if len("/".join(parts).encode()) > _MAX_PATH_BYTES or any(len(part.encode()) > _MAX_NAME_BYTES for part in parts):
        raise UnsupportedTypeError(
            f"a file in it has a name of more than {_MAX_NAME_BYTES} bytes, or {_MAX_PATH_BYTES} with its folders: "
            f"{_shown(name)}"
        )
    if not parts or "__MACOSX" in parts or parts[-1] in _LITTER or parts[-1].startswith("._"):
        return None
    return "/".join(parts)


def _shown(name: str) -> str:
    """A name in a sentence: no control characters, not endless."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return plain if len(plain) <= 100 else f"{plain[:100]}…"


def _zip(source: BinaryIO, name: str, meter: Meter) -> Iterator[Part]:
    _check_end(source, meter)
    with ZipFile(source) as archive:
        entries = archive.infolist()
        meter.expect_entries(len(entries))
        files = [(path, entry) for entry in entries if (path := _zip_path(entry)) is not None]
        meter.expect(len(files), sum(entry.file_size for _, entry in files))
        _check_overlap(entries)
        for path, entry in files:
            with archive.open(entry) as file:
                yield from _file(path, _zip_pieces(file, entry), meter)


_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY_BYTES = 512
"""More than entries of a directory have on average."""


def _check_end(source: BinaryIO, meter: Meter) -> None:
    """Refuse a directory by its announced size before it is read; one that is not found, the library refuses."""
    size = source.seek(0, 2)
    source.seek(-min(size, _END.size + 0xFFFF), 2)
    tail = source.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        return
    _, _, _, _, entries, directory, _, _ = _END.unpack_from(tail, at)
    before = size - len(tail) + at - _LOCATOR_64.size - _END_64.size
    if before >= 0:
        source.seek(before)
        end = _END_64.unpack(source.read(_END_64.size))
        if end[0] == b"PK\6\6":
            entries, directory = end[7], end[8]
    meter.expect_entries(entries)
    meter.expect_entries(directory // _ENTRY_BYTES)


def _zip_path(entry: ZipInfo) -> str | None:
    """Where a file belongs; None for a folder and for litter. UnreadableError if it is locked or oddly packed."""
    name = _zip_name(entry)
    path = _path(name)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFIFO):  # what zip was given over a pipe is called a FIFO
        raise UnsupportedTypeError(f"it holds a link or a device: {_shown(name)}")
    if path is None or entry.is_dir() or kind == stat.S_IFDIR:
        return None
    if entry.flag_bits & 0x1:
        raise UnreadableError(f"it is locked with a password: {_shown(name)}")
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA):
        raise UnreadableError(f"it is packed by a method that is not known here: {_shown(name)}")
    return path


_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075


def _zip_name(entry: ZipInfo) -> str:
    """A name as it was meant: not every program that writes UTF-8 says so."""
    name = entry.orig_filename
    if entry.flag_bits & _UTF8_FLAG:
        return name
    raw = name.encode("cp437")
    extra = entry.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == _UNICODE_PATH and extra[4:9] == b"\1" + struct.pack("<L", zlib.crc32(raw)):
            return extra[9 : 4 + size].decode()
        extra = extra[4 + size :]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return name


def _check_overlap(entries: Iterable[ZipInfo]) -> None:
    """Entries that share their bytes are how a small archive becomes a huge one, or hides what it holds."""
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise UnsupportedTypeError(f"files in it overlap: {_shown(_zip_name(entry))}")
        end = entry.header_offset + 30 + entry.compress_size


def _zip_pieces(file: IO[bytes], entry: ZipInfo) -> Iterator[bytes]:
    # Of these two the library unpacks at once all that it has read.
    packed_tight = entry.compress_type in (ZIP_BZIP2, ZIP_LZMA)
    size = 0
    for piece in _pieces(file, 4096 if packed_tight else PIECE_BYTES):
        size += len(piece)
        yield piece
    if size != entry.file_size:
        raise BadZipFile("the directory says otherwise")


class _Header(tarfile.TarInfo):
    """A header that is damaged or missing is an error; the library would take it for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined] # not in typeshed
            raise
        except tarfile.HeaderError as error:
            raise EOFError from error


def _tar(source: IO[bytes], name: str, meter: Meter) -> Iterator[Part]:
    with tarfile.open(fileobj=source, mode="r|", tarinfo=_Header, bufsize=PIECE_BYTES // 4) as archive:
        for count, entry in enumerate(archive):
            meter.expect_entries(count)
            if (path := _tar_path(entry)) is None:
                continue
            meter.expect(1, entry.size)
            file = archive.extractfile(entry)
            assert file is not None
            yield from _file(path, _pieces(file), meter)
    rest = 0
    for piece in _pieces(source):  # to the end, where the checksum is
        rest += len(piece)
        meter.expect(0, rest)


def _tar_path(entry: tarfile.TarInfo) -> str | None:
    raw = entry.name.encode("utf-8", "surrogateescape")
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        name = raw.decode("latin-1")
    path = _path(name)
    if path is None or entry.isdir():
        return None
    if not entry.isreg():
        raise UnsupportedTypeError(f"it holds a link or a device: {_shown(name)}")
    return path


def _gzip(source: BinaryIO, name: str, meter: Meter) -> Iterator[Part]:
    with gzip.GzipFile(fileobj=source, mode="rb") as stream:
        yield from _unpacked(cast(IO[bytes], stream), name, meter)


def _bzip2(source: BinaryIO, name: str, meter: Meter) -> Iterator[Part]:
    with bz2.BZ2File(source) as stream:
        yield from _unpacked(stream, name, meter)


def _xz(source: BinaryIO, name: str, meter: Meter) -> Iterator[Part]:
    with lzma.LZMAFile(source) as stream:
        yield from _unpacked(stream, name, meter)


def _unpacked(stream: IO[bytes], name: str, meter: Meter) -> Iterator[Part]:
    """What was packed: the files of a tar, or a single file."""
    head = stream.read(tarfile.BLOCKSIZE)
    stream.seek(0)
    if _begins_tar(head):
        yield from _tar(stream, name, meter)
    else:
        yield from _file(_path(PurePath(name).stem) or "file", _pieces(stream), meter)


def _begins_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


_READERS: dict[str, Callable[[BinaryIO, str, Meter], Iterator[Part]]] = {
    "application/zip": _zip,
    "application/x-tar": _tar,
    "application/gzip": _gzip,
    "application/x-bzip2": _bzip2,
    "application/x-xz": _xz,
}
