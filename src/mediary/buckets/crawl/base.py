"""What the parts of a crawl tell each other, and those who wait for it."""

from typing import Literal

from msgspec import Struct

Kind = Literal["page", "file", "unchanged", "same", "failed", "limit", "stopped", "waiting"]


class Progress(Struct, frozen=True, kw_only=True):
    """A step of a crawl.

    `count` are the pages and files fetched so far, `total` all URLs that are known by now. `url` is what the step was
    about, `name` the document or file that it brought, `reason` why it brought none. "unchanged" is as the bucket has
    it, "same" is what another URL brought already; "limit" and "stopped" are the last step of a crawl that did not come
    to its end, "waiting" is one that somebody else does.
    """

    kind: Kind
    count: int
    total: int
    url: str | None = None
    name: str | None = None
    reason: str | None = None


class Failure(Struct, frozen=True):
    """A URL that brought nothing, and why."""

    url: str
    reason: str


class CrawlState(Struct, frozen=True, kw_only=True):
    """How far a crawl is; `bytes` are those that came over the net, `limit` is what ended it before its end.

    "waiting" was never begun, "stopped" goes on with the next who reads the bucket.
    """

    state: Literal["waiting", "running", "stopped", "finished"]
    count: int = 0
    total: int = 0
    bytes: int = 0
    limit: str | None = None
    failures: tuple[Failure, ...] = ()
