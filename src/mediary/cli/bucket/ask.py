"""`mediary bucket ask`: what a bucket has to say on a question."""

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from mediary.buckets.library import MAX_CHARS
from mediary.cli.bucket.session import Bucket, check_folder, run
from mediary.cli.media.session import AsJson, emit, note
from mediary.cli.options import Config, Data, explained
from mediary.cli.terminal import Bar, in_a_line, prepare_output, unsteered, write_out

if TYPE_CHECKING:
    from mediary.buckets.library import BucketLibrary
    from mediary.passages.passage import Passage

T = TypeVar("T")

LOOK_SECONDS = 0.5
"""How often it is looked how far documents are."""


def ask(
    bucket: Bucket,
    question: Annotated[str, typer.Argument(help="The question, in any language.", show_default=False)],
    provider: Annotated[
        str | None, typer.Option("-p", "--provider", help="Who answers; nobody by default.", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option("-m", "--model", help="Which model.", show_default=False)] = None,
    max_chars: Annotated[
        int | None,
        typer.Option(min=1, help="Characters that the passages may have together. [default: 4000]", show_default=False),
    ] = None,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Find the passages that bear on a question; with --provider or --model, have a model answer from them."""
    if provider or model:
        if json or max_chars is not None:
            raise typer.BadParameter("a model answers in its own words", param_hint="--json, --max-chars")
        _converse(bucket, question, provider, model, data, config)
        return

    async def work(buckets: "BucketLibrary") -> bool:
        found = await _with_bar(buckets, bucket, buckets.ask(bucket, question, max_chars=max_chars or MAX_CHARS))
        for document in await buckets.documents(bucket):
            if document.state != "ready":
                note(f"mediary: {in_a_line(document.name)} is left out: {document.error or 'it is not ready'}")
        _show(found, json=json)
        return bool(found)

    if not run(work, data, config):
        note("mediary: nothing in the bucket bears on the question")
        raise typer.Exit(1)


async def _with_bar(buckets: "BucketLibrary", bucket: str, asking: Coroutine[Any, Any, T]) -> T:
    """Wait for the answer, and show how many of the documents are read that it waits for."""
    task = asyncio.create_task(asking)
    try:
        with Bar("reading documents") as bar:
            while not (await asyncio.wait([task], timeout=LOOK_SECONDS))[0]:
                readiness = await buckets.readiness(bucket)
                read = len(readiness.ready) + len(readiness.failed)
                bar(read, read + len(readiness.late))
        return await task
    finally:
        task.cancel()


def _show(found: "Sequence[Passage]", *, json: bool) -> None:
    """The passages, each under the name of its document."""
    if json:
        for passage in found:
            emit(asdict(passage))
    elif found:
        shown = unsteered(sys.stdout)
        blocks = (f"{in_a_line(passage.document)}\n\n{_indented(passage.text)}\n" for passage in found)
        write_out(shown("\n".join(blocks)))


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line.strip() else "" for line in text.splitlines())


def _converse(
    bucket: str, question: str, provider: str | None, model: str | None, data: Path | None, config: Path | None
) -> None:
    """Take a turn with the bucket in the question."""
    # imported here: `--help` should not wait for it
    from mediary.cli.chat import take_turn
    from mediary.conversations.request import ConversationRequest, IncomingMessage
    from mediary.server.log import configure_logging
    from mediary.settings import LogSettings, load_settings

    parts = [{"bucket_id": bucket}, {"type": "text", "text": question}]
    request = ConversationRequest(
        provider=provider, model=model, messages=[IncomingMessage(role="user", content=parts)]
    )
    with explained():
        prepare_output()
        settings = load_settings(config, data)
        configure_logging(LogSettings(level="error"))
        check_folder(settings)
        if not asyncio.run(take_turn(settings, request)):
            raise typer.Exit(1)
