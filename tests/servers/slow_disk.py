"""A disk that answers when it is told to: a file system in user space (FUSE), spoken bare, mounted under one file.

It needs /dev/fuse and the right to mount, as root in a container or on a test machine has.
"""

import ctypes
import errno
import os
import stat
import struct
import tempfile
import threading
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Self

_HEADER = struct.Struct("<IIQQIIIHH")  # length, opcode, unique, node, uid, gid, pid, extension, padding
_REPLY = struct.Struct("<IiQ")  # length, error, unique
_ATTRIBUTES = struct.Struct("<6Q3I7I")


class _Operation(IntEnum):
    LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE = 1, 2, 3, 14, 15, 18
    FLUSH, INIT, OPENDIR, RELEASEDIR, INTERRUPT, BATCH_FORGET = 25, 26, 27, 29, 36, 42


_FILE = 2  # the only node besides the root
_MS_BIND, _MNT_DETACH, _DIRECT_IO = 4096, 2, 1
_FOREVER = 1 << 30

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def is_possible() -> bool:
    """Whether this machine lets us mount it."""
    try:
        with tempfile.TemporaryDirectory() as folder, SlowDisk(Path(folder) / "x", b"x"):
            return True
    except OSError:
        return False


class SlowDisk:
    """Mounts `data` at `target`, a file. Reads wait from `stall` until `release`; `reached` is set once one waits."""

    def __init__(self, target: Path, data: bytes) -> None:
        self._target = target
        self._data = data
        self._stalled = False
        self._held: list[tuple[int, bytes]] = []
        self._lock = threading.Lock()
        self.reached = threading.Event()

    def __enter__(self) -> Self:
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        self._root = tempfile.mkdtemp()
        options = f"fd={self._device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
        try:
            _check(_libc.mount(b"slow", self._root.encode(), b"fuse", 0, options.encode()))
        except OSError:
            os.close(self._device)
            Path(self._root).rmdir()
            raise
        threading.Thread(target=self._serve, daemon=True).start()
        self._target.touch()
        _check(_libc.mount(f"{self._root}/file".encode(), os.fsencode(self._target), None, _MS_BIND, None))
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        for mounted in (os.fsencode(self._target), self._root.encode()):
            _check(_libc.umount2(mounted, _MNT_DETACH))
        self._target.unlink()
        Path(self._root).rmdir()

    def stall(self) -> None:
        """From now on reads wait."""
        with self._lock:
            self._stalled = True

    def release(self) -> None:
        """Answer what waits, and what comes."""
        with self._lock:
            self._stalled = False
            held, self._held = self._held, []
        for unique, data in held:
            self._reply(unique, data)

    def _serve(self) -> None:
        """Answer the kernel until the mount is gone."""
        while True:
            try:
                request = os.read(self._device, 1 << 20)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT):
                    continue
                os.close(self._device)
                return
            _, opcode, unique, node, *_ = _HEADER.unpack_from(request)
            if opcode not in (_Operation.FORGET, _Operation.BATCH_FORGET, _Operation.INTERRUPT):
                self._answer(opcode, unique, node, request[_HEADER.size :])

    def _answer(self, opcode: int, unique: int, node: int, body: bytes) -> None:
        match opcode:
            case _Operation.INIT:
                self._reply(unique, struct.pack("<4I2H2I2HI7I", 7, 31, 0, 0, 16, 12, 4096, 1, 0, 0, *[0] * 8))
            case _Operation.LOOKUP:
                if body == b"file\0":
                    entry = struct.pack("<4Q2I", _FILE, 0, _FOREVER, _FOREVER, 0, 0)
                    self._reply(unique, entry + self._attributes(_FILE))
                else:
                    self._reply(unique, error=errno.ENOENT)
            case _Operation.GETATTR:
                self._reply(unique, struct.pack("<Q2I", _FOREVER, 0, 0) + self._attributes(node))
            case _Operation.OPEN | _Operation.OPENDIR:
                self._reply(unique, struct.pack("<Q2I", 0, _DIRECT_IO, 0))
            case _Operation.READ:
                _, offset, size = struct.unpack_from("<2QI", body)
                self._read(unique, self._data[offset : offset + size])
            case _Operation.RELEASE | _Operation.FLUSH | _Operation.RELEASEDIR:
                self._reply(unique)
            case _:
                self._reply(unique, error=errno.ENOSYS)

    def _read(self, unique: int, data: bytes) -> None:
        with self._lock:
            if self._stalled:
                self._held.append((unique, data))
                self.reached.set()
                return
        self._reply(unique, data)

    def _attributes(self, node: int) -> bytes:
        mode, size = (stat.S_IFREG | 0o644, len(self._data)) if node == _FILE else (stat.S_IFDIR | 0o755, 0)
        times = (1_700_000_000,) * 3
        return _ATTRIBUTES.pack(node, size, size // 512, *times, 0, 0, 0, mode, 1, os.getuid(), os.getgid(), 0, 4096, 0)

    def _reply(self, unique: int, data: bytes = b"", *, error: int = 0) -> None:
        with suppress(FileNotFoundError):  # whoever asked was interrupted and waits no more
            os.write(self._device, _REPLY.pack(_REPLY.size + len(data), -error, unique) + data)
