"""A web site on loopback whose every answer a test decides, and which keeps how it was asked."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.servers.http import Handler, RawServer, Received, raw_server, response


@dataclass
class Site:
    """Pages by path; what is not there is a 404, `/robots.txt` among it."""

    server: RawServer
    busiest: int = 0
    at_once: int = 0
    began: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def asked(self) -> list[str]:
        """What was asked for, in order, without robots.txt."""
        return [request.target for request in self.server.received if request.target != "/robots.txt"]

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.asked)

    def put(self, path: str, answer: bytes | Handler) -> None:
        """Any answer."""
        self.server.answers[path] = answer

    def page(self, path: str, text: str = "", links: Iterable[str] = (), *headers: str, head: str = "") -> None:
        """A page of HTML with links."""
        self.put(
            path, response(html(text or f"This is what {path} says.", links, head), "Content-Type: text/html", *headers)
        )

    def slow(self, path: str, body: bytes) -> None:
        """A page whose answer waits until others have been asked for meanwhile, if they are."""

        async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
            self.at_once += 1
            self.busiest = max(self.busiest, self.at_once)
            self.began.append(asyncio.get_running_loop().time())
            for _ in range(50):
                await asyncio.sleep(0.001)
            self.at_once -= 1
            writer.write(response(body, "Content-Type: text/html"))

        self.put(path, answer)


def html(text: str, links: Iterable[str] = (), head: str = "") -> bytes:
    """A page."""
    anchors = "".join(f'<li><a href="{link}">Go to {link}</a></li>' for link in links)
    whole = f"<html><head><title>{text[:30]}</title>{head}</head><body><p>{text}</p><ul>{anchors}</ul></body></html>"
    return f"<!DOCTYPE html>{whole}".encode()


@asynccontextmanager
async def site(host: str = "127.0.0.1") -> AsyncIterator[Site]:
    """A site without pages."""
    async with raw_server(host) as server:
        yield Site(server)
