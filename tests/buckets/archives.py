"""Archives as programs make them, and as those do who mean harm."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from mediary.buckets.intake.unpack import Member, Unpacker
from mediary.sandbox.pool import Sandbox
from mediary.settings import BucketSettings

# As `detect` calls them.
ZIP, TAR, GZIP, BZIP2, XZ = (f"application/{kind}" for kind in ("zip", "x-tar", "gzip", "x-bzip2", "x-xz"))

Unpack = Callable[..., Awaitable[list[tuple[str, bytes | str]]]]


def told(member: Member) -> bytes | str:
    return member.refused or member.path.read_bytes()


def unpacking(sandbox: Sandbox, tmp_path: Path) -> Unpack:
    """Unpack bytes; the files by name, in order. Where one is refused, its reason stands for its bytes."""

    async def run(data: bytes | Path, name: str = "x.zip", media_type: str = ZIP, **settings: object):
        into = tmp_path / f"into{random.random()}"
        into.mkdir()
        archive = data if isinstance(data, Path) else tmp_path / "archive"
        if isinstance(data, bytes):
            archive.write_bytes(data)
        unpacker = Unpacker(sandbox, BucketSettings(**settings))  # type: ignore[arg-type]
        members = await unpacker.unpack(archive, name, media_type, into)
        assert {member.path for member in members} == set(into.iterdir())
        return [(member.original, told(member)) for member in members]

    return run


def zipped(files: dict[str, bytes] | Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, data)
    return target.getvalue()


def tarred(entries: Iterable[tuple[tarfile.TarInfo | str, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for entry, data in entries:
            info = tarfile.TarInfo(entry) if isinstance(entry, str) else entry
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


def locked(data: bytes) -> bytes:
    """A zip whose entries say that they are encrypted."""
    return flagged(data, 0x1)


def flagged(data: bytes, flags: int) -> bytes:
    changed = bytearray(data)
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = -1
        while (start := data.find(signature, start + 1)) >= 0:
            changed[start + at] |= flags
    return bytes(changed)


def unix(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


PACKED = {
    TAR: lambda data: data,
    GZIP: gzip.compress,
    BZIP2: bz2.compress,
    XZ: lzma.compress,
}
