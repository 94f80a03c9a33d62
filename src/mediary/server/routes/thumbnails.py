"""`/thumbnail/<name>`: small pictures of the kept files, as a bare ASGI endpoint like that of the files themselves."""

from dataclasses import replace
from functools import lru_cache

from mediary.errors import BadRequestError, MethodNotAllowedError, NotFoundError
from mediary.media.thumbnails import LADDER, LocalFolder, Thumbnails
from mediary.names import get_source_url
from mediary.server.file_answer import FileFacts, Headers, conditions, send_file
from mediary.server.local_files import LocalFiles
from mediary.server.protocol import Receive, Scope, Send
from mediary.server.query import Query
from mediary.server.routes.media import METHODS, redirect

_VARY = (b"vary", b"accept")


class ThumbnailFiles:
    """Serves thumbnails, made on the first request; the last part of the path is the name of the file they show."""

    def __init__(self, thumbnails: Thumbnails, store: LocalFolder) -> None:
        self._thumbnails = thumbnails
        self._files = LocalFiles(store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD, with conditions; for a missing file lead to its source, if the URL names one."""
        await serve_thumbnail(self._thumbnails, self._files, scope["path"].split("/", 2)[2], scope, receive, send)


async def serve_thumbnail(
    thumbnails: Thumbnails, files: LocalFiles, name: str, scope: Scope, receive: Receive, send: Send, below: str = ""
) -> None:
    """Answer GET and HEAD with the thumbnail of a file; `below` is what its name has before it in `files`."""
    method: str = scope["method"]
    if method not in METHODS:
        raise MethodNotAllowedError(method, METHODS)
    query: bytes = scope["query_string"]
    width = wanted_width(query) if query else None
    webp = accepts_webp(scope["headers"])
    asked = conditions(scope["headers"])
    try:
        if method == "GET" and not asked:
            whole = files.whole(below + await thumbnails.name_of(name, width, webp=webp))
            if whole is not None:
                await send({"type": "http.response.start", "status": 200, "headers": _headers(whole[0])})
                await send({"type": "http.response.body", "body": whole[1]})
                return
        thumbnail = await thumbnails.get(name, width, webp=webp)
        body = await files.open(below + thumbnail.name)
    except NotFoundError:
        source = get_source_url(query.decode("latin-1"))
        if source is None:
            raise
        await redirect(send, source)
        return
    body.facts = replace(body.facts, headers=_headers(body.facts))
    try:
        await send_file(body, asked, receive, send, head=method == "HEAD")
    finally:
        body.close()


def wanted_width(query: bytes) -> int | None:
    """The query's `w`, None if it is not there; BadRequestError if it is not of the ladder."""
    width = Query(query).text("w")
    if not width:
        return None
    if width not in _WIDTHS:
        raise BadRequestError(f"w is one of {', '.join(_WIDTHS)}; without it a thumbnail is at most 400 by 400")
    return int(width)


def accepts_webp(headers: Headers) -> bool:
    """Whether the client says that it can show WebP; `*/*`, which every program says, is not enough."""
    return _has_webp(b",".join([value for name, value in headers if name == b"accept"]))


@lru_cache(256)
def _has_webp(accept: bytes) -> bool:
    for field in accept.split(b","):
        media_type, *parameters = (part.strip().lower() for part in field.split(b";"))
        if media_type == b"image/webp":
            return not any(_is_refusal(parameter) for parameter in parameters)
    return False


def _is_refusal(parameter: bytes) -> bool:
    """Whether this is `q=0`, with or without zeros behind it."""
    name, _, value = parameter.partition(b"=")
    return name.strip() == b"q" and not value.strip().strip(b"0.")


def _headers(facts: FileFacts) -> Headers:
    """The headers of the file, without its name, which is ours: saved, it is called as its URL says."""
    return [*(header for header in facts.headers if header[0] != b"content-disposition"), _VARY]


_WIDTHS = tuple(map(str, LADDER))
