"""`mediary bucket read`: the text of a bucket."""

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from mediary.cli.bucket.session import Bucket, run
from mediary.cli.media.session import Tally, note
from mediary.cli.options import Config, Data
from mediary.cli.terminal import Bar, in_a_line, unsteered, write_out

if TYPE_CHECKING:
    from mediary.buckets.library import BucketLibrary


def read(
    bucket: Bucket,
    refine: Annotated[bool, typer.Option("--refine", help="Only the sentences that carry the text.")] = False,
    delete_files: Annotated[
        bool,
        typer.Option("--delete-files", help="Remove the files that texts were made from, when their texts are safe."),
    ] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Write the text of all documents, in order, each as soon as it is ready."""
    shown = unsteered(sys.stdout)

    async def work(buckets: "BucketLibrary") -> Tally:
        tally, size = Tally("read"), 0
        with Bar("reading") as bar:
            async with aclosing(buckets.read(bucket, refine=refine, delete_files=delete_files)) as text:
                async for piece in text:
                    write_out(shown(piece), "the text")
                    size += len(piece)
                    # On a terminal the text itself shows how far it is.
                    if not sys.stdout.isatty():
                        bar(size, None)
        for document in await buckets.documents(bucket):
            if document.state == "failed":
                tally.failed += 1
                note(f"mediary: {in_a_line(document.name)}: {document.error}")
        return tally

    run(work, data, config).finish()
