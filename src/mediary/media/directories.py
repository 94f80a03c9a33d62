"""The folders of a library on this machine: where they are, and that they are there."""

import errno
import os
import tempfile
from pathlib import Path

from mediary.errors import SettingsError
from mediary.media.trash import TRASH
from mediary.ownership import current_user, owner, take_over


def get_media_dir(root: Path = Path()) -> Path:
    """The folder of the media below `root`: `generated_images` where it can be read, else `generated_media`."""
    older = root / "generated_images"
    return older if os.access(older, os.R_OK) else root / "generated_media"


def ensure_media_dir(root: Path = Path()) -> Path:
    """The folder of the media, made if need be and tried; SettingsError says whose it is, and how to mend it."""
    folder = get_media_dir(root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError as error:
        raise SettingsError(_explain(folder, error)) from error
    return folder


def ensure_thumbnail_dir(media: Path) -> Path:
    """The folder of the thumbnails below that of the media, made if need be; SettingsError if it cannot be."""
    return _ensure(media / "thumbnails")


def ensure_trash_dir(media: Path) -> Path:
    """The folder of what was deleted below that of the media, made if need be; SettingsError if it cannot be."""
    return _ensure(media / TRASH)


def _ensure(folder: Path) -> Path:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise SettingsError(_explain(folder, error)) from error
    return folder


def _explain(folder: Path, error: OSError) -> str:
    """Why a folder cannot be used, whose it is, and what helps."""
    folder = folder.absolute()
    start = f"the media folder {folder} cannot be written: {os.strerror(error.errno or errno.EIO).lower()}."
    if error.errno not in (errno.EACCES, errno.EPERM):
        return f"{start} {_REMEDIES.get(error.errno or 0, 'Choose another data folder with --data')}."
    there = next(place for place in (folder, *folder.parents) if place.exists())
    status = there.stat()
    return (
        f"{start} {there} belongs to {owner(there)} (mode {status.st_mode & 0o7777:03o}), "
        f"this program runs as {current_user()}. Make it yours: {take_over(there)}"
    )


_REMEDIES = {
    errno.ENOSPC: "Make room on the disk",
    errno.EDQUOT: "Make room: the quota is used up",
    errno.EROFS: "Its file system is mounted read-only: mount it for writing, or choose another folder with --data",
    errno.EEXIST: "A file is in the way: move it",
    errno.ENOTDIR: "A file is in the way: move it",
}
