"""`/media/<name>` and `/images/<name>`: the kept files, as a bare ASGI endpoint, since a router costs a third."""

from typing import Protocol
from urllib.parse import parse_qs, quote

from mediary.errors import BadRequestError, MethodNotAllowedError, NotFoundError
from mediary.names import get_source_url
from mediary.server.file_answer import Body, FileFacts, conditions, send_file
from mediary.server.local_files import LocalFiles
from mediary.server.protocol import Receive, Scope, Send
from mediary.server.remote_files import RemoteFiles
from mediary.storage.base import HasPath, Store

_METHODS = ("GET", "HEAD")
_URL_SAFE = ":/?#[]@!$&'()*+,;=%~"  # what a URL is made of; the rest cannot stand in a header
_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


class Files(Protocol):
    """What files are served from."""

    def whole(self, name: str) -> tuple[FileFacts, bytes] | None:
        """A file, if it takes no waiting; None says nothing about whether it exists."""
        ...

    async def open(self, name: str) -> Body:
        """Open a file; NotFoundError if there is none."""
        ...


class MediaFiles:
    """Serves the files of a store: the last part of the path is the name."""

    def __init__(self, store: Store) -> None:
        self._files: Files = LocalFiles(store) if isinstance(store, HasPath) else RemoteFiles(store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD, with ranges and conditions; a missing file leads to its source, if the URL names one."""
        method: str = scope["method"]
        if method not in _METHODS:
            raise MethodNotAllowedError(method, _METHODS)
        name = scope["path"].split("/", 2)[2]
        asked = conditions(scope["headers"])
        if method == "GET" and not asked and b"download" not in scope["query_string"]:
            whole = self._files.whole(name)
            if whole is not None:
                await send({"type": "http.response.start", "status": 200, "headers": whole[0].headers})
                await send({"type": "http.response.body", "body": whole[1]})
                return
        query: str = scope["query_string"].decode("latin-1")
        try:
            body = await self._files.open(name)
        except NotFoundError:
            source = get_source_url(query)
            if source is None:
                raise
            await _redirect(send, source)
            return
        try:
            await send_file(body, asked, receive, send, head=method == "HEAD", download=_wants_download(query))
        finally:
            body.close()


async def _redirect(send: Send, source: str) -> None:
    location = quote(source, safe=_URL_SAFE, errors="replace").encode("ascii")
    headers = [(b"location", location), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 302, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _wants_download(query: str) -> bool:
    """The query's `download`, false if it is not there."""
    value = parse_qs(query).get("download", ["false"])[-1].lower()
    if value not in _BOOLEANS:
        raise BadRequestError("download is true or false")
    return _BOOLEANS[value]
