"""`mediary bucket crawl`: pages and files of the web into a bucket."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from mediary.buckets.naming import DOWNLOADS
from mediary.cli.bucket.session import Bucket, run
from mediary.cli.media.session import AsJson, Tally, emit, note
from mediary.cli.options import Config, Data
from mediary.cli.terminal import Bar, in_a_line
from mediary.errors import BadRequestError

if TYPE_CHECKING:
    from mediary.buckets.crawl.base import Progress
    from mediary.buckets.library import BucketLibrary


def crawl(
    bucket: Bucket,
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="[URL...]", help="Where to begin. [default: the bucket's list]", show_default=False),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(min=0, help="How many links deep to follow, within the site. [default: 0]", show_default=False),
    ] = None,
    delay: Annotated[
        float | None, typer.Option(min=0, help="Seconds between two requests to a host.", show_default=False)
    ] = None,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Fetch pages and files into a bucket; prints the names of what came. One that was stopped goes on."""

    options = {name: value for name, value in {"max_depth": depth, "delay": delay}.items() if value is not None}
    if options and not urls:
        raise typer.BadParameter(
            "the list of the bucket says that; name URLs for a new one", param_hint="--depth, --delay"
        )

    async def work(buckets: "BucketLibrary") -> Tally:
        if urls:
            await _set_list(buckets, bucket, {"urls": urls, **options})
        again = "the same command without URLs goes on from there"
        with Tally("fetched") as tally, Bar("fetching", stopped=again) as bar:
            async with aclosing(buckets.crawl(bucket)) as steps:
                async for step in steps:
                    bar(step.count, step.total)
                    _tell(step, tally, bar, json=json)
        return tally

    run(work, data, config, new=bool(urls)).finish()


async def _set_list(buckets: "BucketLibrary", bucket: str, downloads: dict[str, Any]) -> None:
    """Make this the list of the bucket, in the place of one that it has."""

    async def content() -> AsyncGenerator[bytes, None]:
        yield msgspec.json.encode([downloads])

    taken = await buckets.add(bucket, content(), name=DOWNLOADS)
    if taken.rejected:
        raise BadRequestError(taken.rejected[0].reason)


def _tell(step: "Progress", tally: Tally, bar: Bar, *, json: bool) -> None:
    """A step of the crawl."""
    where = in_a_line(step.url or "")
    match step.kind:
        case "page" | "file":
            tally.done += 1
        case "unchanged" | "same":
            tally.skipped += 1
        case "failed":
            tally.failed += 1
            note(f"mediary: {where}: {step.reason}")
        case "limit" | "stopped":
            note(f"mediary: not all is fetched: {step.reason or step.kind}")
        case "waiting":
            return
    if json:
        emit({name: value for name, value in msgspec.structs.asdict(step).items() if value is not None})
    elif step.name and step.kind in ("page", "file"):
        bar.print(step.name)
