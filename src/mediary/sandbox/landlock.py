"""Landlock: the kernel keeps a process from files and ports, with no help from an administrator. Linux 5.13 and on."""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path
from struct import pack

# The numbers of the system calls are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_ON_FILES = _EXECUTE | _READ_FILE
# How many abilities about files, ports and other processes each version knows; a later one knows those of the last.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_PORT_RIGHTS = {4: 2}
_SCOPES = {6: 2}


def restrict(libc: ctypes.CDLL, readable: Iterable[Path]) -> int:
    """Forbid this process all writing, ports and signals, and all reading but of these files and folders.

    The version of Landlock; 0, and nothing is forbidden, where the kernel has none.
    """
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    if version < 1:
        return 0
    fields = [_rights(_FILE_RIGHTS, version)]
    if version >= 4:
        fields.append(_rights(_PORT_RIGHTS, version))
    if version >= 6:
        fields.append(_rights(_SCOPES, version))
    attributes = pack(f"={len(fields)}Q", *fields)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return 0
    for path in readable:
        _allow(libc, ruleset, path)
    failed = libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return 0 if failed else int(version)


def _rights(table: dict[int, int], version: int) -> int:
    """As many low bits as the newest entry says that this version knows."""
    known = max((since for since in table if since <= version), default=None)
    return 0 if known is None else (1 << table[known]) - 1


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path) -> None:
    """Allow reading a file, or all beneath a folder; a path that does not exist is left out."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rights = _READING if path.is_dir() else _ON_FILES
    libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, pack("=Qi", rights, descriptor), 0)
    os.close(descriptor)
