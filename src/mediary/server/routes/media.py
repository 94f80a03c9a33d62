"""`/media/<name>` and `/images/<name>`: the kept files, as a bare ASGI endpoint, since a router costs a third."""

from collections.abc import Sequence
from typing import Protocol
from urllib.parse import quote

from mediary.errors import MethodNotAllowedError, NotFoundError
from mediary.names import get_source_url
from mediary.server.file_answer import Body, FileFacts, conditions, send_file
from mediary.server.local_files import LocalFiles
from mediary.server.protocol import Receive, Scope, Send
from mediary.server.query import Query
from mediary.server.remote_files import RemoteFiles
from mediary.storage.base import HasPath, SignsLinks, Store

METHODS = ("GET", "HEAD")
_URL_SAFE = ":/?#[]@!$&'()*+,;=%~"  # what a URL is made of; the rest cannot stand in a header


class Files(Protocol):
    """What files are served from."""

    def whole(self, name: str) -> tuple[FileFacts, bytes] | None:
        """A file, if it takes no waiting; None says nothing about whether it exists."""
        ...

    async def open(self, name: str) -> Body:
        """Open a file; NotFoundError if there is none."""
        ...


class MediaFiles:
    """Serves the files of a store: the last part of the path is the name.

    With `redirect_seconds` a plain GET is sent to the object store, by a link that is good for so long.
    """

    def __init__(self, store: Store, redirect_seconds: int | None = None) -> None:
        self.files: Files = LocalFiles(store) if isinstance(store, HasPath) else RemoteFiles(store)
        self._links = Links(store, redirect_seconds) if redirect_seconds and isinstance(store, SignsLinks) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD, with ranges and conditions; a missing file leads to its source, if the URL names one."""
        await serve(self.files, scope["path"].split("/", 2)[2], scope, receive, send, self._links)


async def serve(
    files: Files, name: str, scope: Scope, receive: Receive, send: Send, links: "Links | None" = None
) -> None:
    """Answer GET and HEAD with the file of that name."""
    method: str = scope["method"]
    if method not in METHODS:
        raise MethodNotAllowedError(method, METHODS)
    asked = conditions(scope["headers"])
    if method == "GET" and not asked and b"download" not in scope["query_string"]:
        whole = files.whole(name)
        if whole is not None:
            await send({"type": "http.response.start", "status": 200, "headers": whole[0].headers})
            await send({"type": "http.response.body", "body": whole[1]})
            return
        if links is not None and await links.answer(name, send):
            return
    query: str = scope["query_string"].decode("latin-1")
    try:
        body = await files.open(name)
    except NotFoundError:
        source = get_source_url(query)
        if source is None:
            raise
        await redirect(send, source)
        return
    try:
        download = Query(scope["query_string"]).boolean("download")
        await send_file(body, asked, receive, send, head=method == "HEAD", download=download)
    finally:
        body.close()


class Links:
    """Links into an object store that are good for `seconds`, signed for each answer anew."""

    def __init__(self, store: SignsLinks, seconds: int) -> None:
        self._store = store
        self._seconds = seconds
        # Whoever keeps the answer must find that its link still holds, and for long enough to use it.
        self._headers = [(b"cache-control", b"private, max-age=%d" % (seconds // 2))]

    async def answer(self, name: str, send: Send) -> bool:
        """Lead to a file, if it lies in the object store."""
        try:
            link = await self._store.sign(name, self._seconds)
        except NotFoundError:
            return False
        await redirect(send, link, self._headers)
        return True


async def redirect(send: Send, source: str, more: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """Answer that it is at another URL."""
    location = quote(source, safe=_URL_SAFE, errors="replace").encode("ascii")
    headers = [(b"location", location), (b"content-length", b"0"), *more]
    await send({"type": "http.response.start", "status": 302, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
