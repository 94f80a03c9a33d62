"""DuckDuckGo's page for browsers without script, behind a proxy that answers for every host by TLS of its own."""

import asyncio
import html
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

import trustme
from tests.servers.http import Received, listening, parse_head, response

HOST = "html.duckduckgo.com"
_RESULT = """<div class="result results_links web-result "><div class="links_main links_deep result__body">
<h2 class="result__title"><a rel="nofollow" class="result__a" href="{url}">{title}</a></h2>
<a class="result__snippet" href="{url}">{snippet}</a><div class="clear"></div></div></div>"""


@dataclass
class DuckDuckGoPages:
    """The pages; `results` are URL, title and snippet of what they find for any query. All other hosts have nothing."""

    port: int = 0
    certificate: Path = Path()
    """Of the authority that vouches for them."""
    results: list[tuple[str, str, str]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    hangs: bool = False

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connect = parse_head(await reader.readuntil(b"\r\n\r\n"))
        assert connect.method == "CONNECT", "only TLS is passed on"
        host = connect.target.rpartition(":")[0]
        self.hosts.add(host)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await writer.drain()
        await writer.start_tls(self._certified(host))
        if self.hangs:
            await asyncio.Event().wait()
        request = parse_head(await reader.readuntil(b"\r\n\r\n"))
        body = await reader.readexactly(int(request.headers.get("content-length", "0")))
        writer.write(self._answer(request, body) if host == HOST else response(b"<html><p>no</p></html>", status=404))
        await writer.drain()

    def _answer(self, request: Received, body: bytes) -> bytes:
        form = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        self.asked.append(form)
        if (request.method, request.target) != ("POST", "/html/") or not form.get("q") or set(form) != {"q", "b", "l"}:
            return response(b"", status=400)
        found = (
            _RESULT.format(url=html.escape(url), title=html.escape(title), snippet=html.escape(snippet))
            for url, title, snippet in self.results
        )
        page = f"<!DOCTYPE html><html><body><div id='links' class='results'>{''.join(found)}</div></html>"
        return response(page.encode(), "Content-Type: text/html; charset=UTF-8")

    def vouch(self, folder: Path) -> None:
        """Found the authority."""
        self._authority = trustme.CA()
        self.certificate = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.certificate))

    def _certified(self, host: str) -> ssl.SSLContext:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(host).configure_cert(tls)
        return tls


@asynccontextmanager
async def duckduckgo(folder: Path) -> AsyncIterator[DuckDuckGoPages]:
    """The pages on loopback; they find nothing yet."""
    pages = DuckDuckGoPages()
    pages.vouch(folder)
    async with listening(pages.serve) as pages.port:
        yield pages
