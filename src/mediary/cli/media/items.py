"""Media items as the command line shows them: a table that fits the terminal, names through a pipe, JSON."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from mediary.cli.media.session import emit
from mediary.cli.terminal import duration_in_words, in_a_line, moment_in_words, size_in_words, write_out

if TYPE_CHECKING:
    from mediary.media.item import MediaItem

PROMPT_WIDTH = 16
"""Cells of a terminal that a prompt must have to be shown."""


def item_name(given: str) -> str:
    """The name of an item, from itself or from the URL under which it is served."""
    if not given.startswith(("/", "http://", "https://")):
        return given
    return unquote(urlsplit(given).path.rpartition("/")[2])


def as_json(item: "MediaItem") -> dict[str, Any]:
    """All that is known, with its URL; numbers are seconds, bytes and pixels."""
    from mediary.media.library import media_url

    known = {name: value for name, value in asdict(item).items() if value is not None and name != "read"}
    return {"url": media_url(item.name), **known}


def show_items(items: Sequence["MediaItem"], *, json: bool) -> None:
    """A line for each: JSON, a row of a table on a terminal, the bare name through a pipe."""
    if json:
        for item in items:
            emit(as_json(item))
    elif sys.stdout.isatty():
        _show_table(items)
    else:
        write_out("".join(f"{item.name}\n" for item in items), "the list")


def _show_table(items: Sequence["MediaItem"]) -> None:
    """Names whole, for they are copied; of the rest what there is room for, prompts as far as they go."""
    # imported here: through a pipe, and for JSON, nobody needs it
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    columns = {
        "name": [item.name for item in items],
        "size": [size_in_words(item.size) for item in items],
        "what": [what(item) for item in items],
        "created": [moment_in_words(item.created) for item in items],
    }
    table = Table(box=None, header_style="bold", pad_edge=False, show_edge=False)
    shown: list[list[str]] = []
    room = console.width
    for heading, texts in columns.items():
        cells = [in_a_line(text) for text in texts]
        width = max(cell_len(cell) for cell in (heading, *cells))
        if shown and room < width:
            break
        table.add_column(heading, no_wrap=True, min_width=width, justify="right" if heading == "size" else "left")
        shown.append(cells)
        room -= width + 2
    if room >= PROMPT_WIDTH:
        table.add_column("prompt", no_wrap=True, overflow="ellipsis", ratio=1)
        shown.append([in_a_line(item.prompt) for item in items])
    for row in zip(*shown, strict=True):
        table.add_row(*map(Text, row))
    console.print(table, soft_wrap=room < 0)


def what(item: "MediaItem") -> str:
    """The kind of an item in a few signs: `png 640x480`, `mp3 3.2 s`."""
    kind = item.media_type.partition("/")[2].removeprefix("x-")
    size = f"{item.width}x{item.height}" if item.width and item.height else ""
    duration = duration_in_words(item.duration) if item.duration else ""
    return " ".join(part for part in (kind, size, duration) if part)


def details(item: "MediaItem") -> Iterator[tuple[str, str]]:
    """What is known of an item, in the order of interest, as people read it."""
    from mediary.media.library import media_url

    known: dict[str, Any] = {
        "name": item.name,
        "url": media_url(item.name),
        "type": item.media_type,
        "size": f"{size_in_words(item.size)} ({item.size:,} bytes)",
        "pixels": f"{item.width} x {item.height}" if item.width and item.height else None,
        "duration": duration_in_words(item.duration) if item.duration else None,
        "created": moment_in_words(item.created),
        "deleted": moment_in_words(item.trashed) if item.trashed else None,
        "prompt": item.prompt,
        "negative prompt": item.negative_prompt,
        "alt": item.alt if item.alt != item.prompt else None,
        "tags": ", ".join(item.tags),
        "provider": item.provider,
        "model": item.model,
        "seed": item.seed,
        "steps": item.steps,
        "made with": item.generator,
        "content credentials": "yes" if item.c2pa else None,
        "source": item.source_url,
        "made from": item.parent,
        "owner": item.owner,
        "bucket": item.bucket,
        "colour": item.colour,
        "sha256": item.sha256,
        "problem": item.problem,
    }
    return ((label, str(value)) for label, value in known.items() if value not in (None, ""))
