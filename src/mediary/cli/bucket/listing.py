"""`mediary bucket list`: the buckets, or the documents of one."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mediary.cli.bucket.session import run
from mediary.cli.media.session import AsJson, emit
from mediary.cli.options import Config, Data
from mediary.cli.terminal import in_a_line, moment_in_words, size_in_words, write_out

if TYPE_CHECKING:
    from mediary.buckets.document import Document
    from mediary.buckets.library import BucketLibrary
    from mediary.buckets.summary import BucketSummary

PAGE = 500
"""Buckets that are asked for at once."""


def list_buckets(
    bucket: Annotated[
        str | None, typer.Argument(metavar="BUCKET", help="Its documents. [default: all buckets]", show_default=False)
    ] = None,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """List the buckets, or the documents of one with their states; through a pipe their names alone."""

    async def work(buckets: "BucketLibrary") -> None:
        if bucket is not None:
            _show_documents(await buckets.documents(bucket), json=json)
            return
        found: list[BucketSummary] = []
        page = await buckets.list(limit=PAGE)
        found += page.buckets
        while page.next is not None:
            page = await buckets.list(page.next, PAGE)
            found += page.buckets
        _show_buckets(found, json=json)

    run(work, data, config)


def _show_buckets(found: "Sequence[BucketSummary]", *, json: bool) -> None:
    if json:
        for summary in found:
            emit(asdict(summary))
        return
    _show(
        {
            "bucket": [summary.id for summary in found],
            "documents": [f"{summary.documents:,}" for summary in found],
            "media": [f"{summary.media:,}" for summary in found],
            "size": [size_in_words(summary.size) for summary in found],
            "changed": [moment_in_words(summary.modified) for summary in found],
        },
        numbers={"documents", "media", "size"},
    )


def _show_documents(found: "Sequence[Document]", *, json: bool) -> None:
    if json:
        for document in found:
            emit({name: value for name, value in asdict(document).items() if value not in (None, "")})
        return
    _show(
        {
            "document": [document.name for document in found],
            "state": [document.state for document in found],
            "size": [size_in_words(document.size) for document in found],
            "text": [size_in_words(document.text_size) if document.text_size is not None else "" for document in found],
            "about": [document.error or document.title or "" for document in found],
        },
        numbers={"size", "text"},
    )


def _show(columns: Mapping[str, Sequence[str]], *, numbers: set[str]) -> None:
    """A table on a terminal; through a pipe the first column alone."""
    names = next(iter(columns.values()))
    if not sys.stdout.isatty():
        write_out("".join(f"{name}\n" for name in names), "the list")
        return
    # imported here: through a pipe, and for JSON, nobody needs it
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False, show_edge=False)
    for at, heading in enumerate(columns):
        table.add_column(
            heading,
            # Names are copied: they stay whole.
            no_wrap=True,
            overflow="fold" if at == 0 else "ellipsis",
            justify="right" if heading in numbers else "left",
        )
    for row in zip(*columns.values(), strict=True):
        table.add_row(*(Text(in_a_line(cell)) for cell in row))
    Console(highlight=False).print(table)
