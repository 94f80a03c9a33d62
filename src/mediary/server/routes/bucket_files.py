"""`/files/<bucket>/media/<name>` and `/files/<bucket>/thumbnail/<name>`: a bucket's media, served as the library's."""

from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from mediary.buckets.bucket import bucket_id
from mediary.buckets.naming import MEDIA, THUMBNAILS
from mediary.errors import BadRequestError, BusyError, NotFoundError, SandboxError, StoreError, UnsupportedTypeError
from mediary.media.folder_media import FolderMedia
from mediary.media.thumbnails import Thumbnails
from mediary.server.local_files import LocalFiles
from mediary.server.protocol import Receive, Scope, Send
from mediary.server.routes.media import serve
from mediary.server.routes.thumbnails import accepts_webp, serve_thumbnail, wanted_width
from mediary.storage.base import checked_name


class _Folder:
    """The files of one kind in all buckets, as `<bucket>/<name>`: what was served lately is remembered once for all."""

    def __init__(self, root: Path, kind: str) -> None:
        self._root = root
        self._kind = kind

    def path(self, name: str) -> Path:
        """Where it lies; NotFoundError for what cannot be a name, or is in no bucket. Its id was checked before."""
        bucket, _, file = name.partition("/")
        if (self._root / bucket).is_symlink():
            raise NotFoundError(f"There is no bucket {bucket!r}")
        return self._root / bucket / self._kind / checked_name(file)


class BucketFiles:
    """Serves the media of all buckets below `root`."""

    def __init__(self, root: Path, media: FolderMedia) -> None:
        self._root = root
        self._folders = media
        self._media = LocalFiles(_Folder(root, MEDIA))
        self._small = LocalFiles(_Folder(root, THUMBNAILS))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD; a missing file leads to its source, if the URL names one."""
        bucket, kind, name = _parse(scope["raw_path"])
        thumbnails = await self._thumbnails(bucket, name, scope) if kind == THUMBNAILS else None
        if thumbnails is None:
            await serve(self._media, f"{bucket}/{name}", scope, receive, send)
        else:
            await serve_thumbnail(thumbnails, self._small, name, scope, receive, send, below=f"{bucket}/")

    async def _thumbnails(self, bucket: str, name: str, scope: Scope) -> Thumbnails | None:
        """The bucket's thumbnails, that of this file being made; None if it has none: then the file itself will do."""
        media = self._root / bucket / MEDIA
        if (self._root / bucket).is_symlink():
            return None
        thumbnails = await self._folders.thumbnails(media, self._root / bucket / THUMBNAILS)
        try:
            width = wanted_width(scope["query_string"])
            await thumbnails.get(name, width, webp=accepts_webp(scope["headers"]))
        except NotFoundError:
            pass  # `serve_thumbnail` knows what to do
        except (UnsupportedTypeError, BusyError, SandboxError, StoreError):
            return None
        return thumbnails


@lru_cache(1024)
def _parse(path: bytes) -> tuple[str, str, str]:
    """Bucket, kind and name of a path; BadRequestError for a bucket that cannot be, or another kind."""
    _, _, bucket, kind, name = (*(unquote(part) for part in path.decode("latin-1").split("/", 4)), "", "", "")[:5]
    if kind not in (MEDIA, THUMBNAILS):
        raise BadRequestError(
            "a bucket's files are at /files/<bucket>/media/<name> and /files/<bucket>/thumbnail/<name>"
        )
    return bucket_id(bucket), kind, name
