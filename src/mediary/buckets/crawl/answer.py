"""What an answer brings into the bucket: a page its text, all else is taken like an upload."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import convert

from mediary.buckets.crawl import urls
from mediary.buckets.crawl.frontier import Row
from mediary.buckets.crawl.rewrite import rewrite
from mediary.buckets.intake.staging import once
from mediary.errors import DownloadError, TooLargeError
from mediary.extractors.web.answer import HEAD, is_page
from mediary.extractors.web.base import Page
from mediary.net.download import Download as Answer
from mediary.net.urls import charset, normalise
from mediary.sandbox.pool import Sandbox
from mediary.settings import BucketSettings
from mediary.storage.files import in_thread

if TYPE_CHECKING:
    from mediary.buckets.bucket import Bucket
    from mediary.buckets.intake.upload import Intake

MAX_PAGE_BYTES = 8 * 1024 * 1024
"""Of HTML: it is held in memory while it is read."""

_READ = "mediary.extractors.web.page:read_page"


@dataclass(slots=True, frozen=True)
class Answers:
    """Takes what servers send.

    `spend` counts bytes and raises when there may be no more of them; `same_text` finds the URL that brought a text
    with this digest in this crawl, and remembers the one that it is asked for if there is none.
    """

    bucket: "Bucket"
    intake: "Intake"
    sandbox: Sandbox
    settings: BucketSettings
    spend: Callable[[int], None]
    same_text: Callable[[str, str], Awaitable[str | None]]

    @property
    def max_bytes(self) -> int:
        """The most that one answer may have."""
        return self.settings.max_file_bytes

    async def take(self, answer: Answer, url: str, known: Row | None) -> Row:
        """Read an answer to its end; what came of it. `known` is what this URL brought before."""
        if answer.status == 204:
            raise DownloadError("there is nothing there")
        chunks = self._counted(answer.chunks)
        head = b""
        while len(head) < HEAD and (chunk := await anext(chunks, None)) is not None:
            head += chunk
        row = partial(Row, url=url, etag=answer.headers.get("etag"), modified=answer.headers.get("last-modified"))
        if is_page(answer.headers, head):
            return await self._take_page(answer, url, _with_head(head, chunks), known, row)
        return await self._take_file(answer, url, _with_head(head, chunks), row)

    async def _take_page(
        self,
        answer: Answer,
        url: str,
        chunks: AsyncIterator[bytes],
        known: Row | None,
        row: Callable[..., Row],
    ) -> Row:
        data = bytearray()
        async for chunk in chunks:
            data += chunk
            if len(data) > MAX_PAGE_BYTES:
                raise TooLargeError(f"the page has more than {MAX_PAGE_BYTES // 1024**2} MiB")
        arguments = (bytes(data), url, charset(answer.headers))
        page = convert(await self.sandbox.run(_READ, *arguments, seconds=self.settings.seconds), Page)
        links = () if _says_nofollow(answer.headers) else await in_thread(partial(_normal, page.links))
        if not page.text:
            return Row(url=url, outcome="failed", reason="the page holds no text", links=links)
        digest = sha256(page.text.encode()).hexdigest()
        if other := await self.same_text(digest, url):
            return row(outcome="same", same_as=other, links=links)
        if known and known.digest == digest:
            return row(outcome="unchanged", name=known.name, digest=digest, links=links)
        name = await self._keep(page, url, known)
        return row(outcome="page", name=name, digest=digest, links=links)

    async def _keep(self, page: Page, url: str, known: Row | None) -> str:
        """Have a page in the bucket; the name of its document."""
        text = f"Source: {url}\n\n{page.text}\n".encode()
        name = known.name if known else None
        if name is None or not await rewrite(self.bucket, name, text):
            taken = await self.intake.take(
                self.bucket, urls.page_name(url), once(text), language=page.language, url=url
            )
            if not taken.documents:
                raise DownloadError(taken.rejected[0].reason if taken.rejected else "it was not taken")
            name = taken.documents[0].name
        await self.bucket.index.change(name, title=page.title, author=page.author, language=page.language)
        return name

    async def _take_file(self, answer: Answer, url: str, chunks: AsyncIterator[bytes], row: Callable[..., Row]) -> Row:
        taken = await self.intake.take(self.bucket, urls.file_name(url, answer.headers), chunks, url=url)
        names = [*(document.name for document in taken.documents), *(media.name for media in taken.media)]
        if not names:
            raise DownloadError(taken.rejected[0].reason if taken.rejected else "there is nothing in it")
        return row(outcome="file", name=names[0])

    async def _counted(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self.spend(len(chunk))
            yield chunk


def _says_nofollow(headers: Mapping[str, str]) -> bool:
    """Whether the header asks robots, all or this one, not to follow the page's links."""
    said = headers.get("x-robots-tag", "").lower()
    agent, colon, rules = said.partition(":")
    words = rules if colon and agent.strip() == "mediary" else "" if colon else said
    return not {"nofollow", "none"}.isdisjoint(words.replace(",", " ").split())


def _normal(links: tuple[str, ...]) -> tuple[str, ...]:
    """Links as a crawl writes them, each once."""
    return tuple(dict.fromkeys(url for link in links if (url := normalise(link))))


async def _with_head(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if head:
        yield head
    async for chunk in rest:
        yield chunk
