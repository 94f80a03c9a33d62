"""`mediary media verify` and `gc`: is everything there, and what is there that nobody needs."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mediary.cli.media.session import AsJson, emit, note, opened, perform, run
from mediary.cli.options import Config, Data
from mediary.cli.terminal import Bar, counted, in_a_line, size_in_words, write_out
from mediary.settings import Settings

if TYPE_CHECKING:
    from mediary.media.collect import Doomed
    from mediary.media.library import MediaLibrary
    from mediary.media.verify import Report


def verify(json: AsJson = False, data: Data = None, config: Config = None) -> None:
    """Read every byte, and say what is missing, altered, unreadable or orphaned; exit code 1 if anything is."""

    async def work(library: "MediaLibrary") -> "Report":
        from mediary.media.verify import verify

        with Bar("verifying", stopped="of the rest nothing is known") as bar:
            return await verify(library, bar)

    report = run(work, data, config)
    if json:
        emit(asdict(report) | {"ok": report.ok})
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(1)


def _show(report: "Report") -> None:
    for what in ("missing", "altered", "unreadable", "orphaned"):
        for found in getattr(report, what):
            write_out(f"{what}: {in_a_line(found.name)}: {found.why}\n", "the report")
    checked = f"{counted(report.checked, 'file')}, {size_in_words(report.bytes)}"
    filled = f"; {counted(report.filled, 'digest')} written down for the next time" if report.filled else ""
    note(f"{checked} read{filled}: {'all is well' if report.ok else 'not all is well'}")


def collect(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go, and why.")] = False,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Remove what no item needs: old trash, thumbnails and rows without a file, objects without a name, leftovers."""

    async def work(settings: Settings) -> "list[Doomed]":
        from mediary.media.collect import collect

        async with opened(settings) as services:
            return await collect(services.library, trash_days=settings.media.trash_days, dry_run=dry_run)

    gone = perform(work, data, config)
    for doomed in gone:
        if json:
            emit(asdict(doomed))
        else:
            size = f", {size_in_words(doomed.size)}" if doomed.size else ""
            write_out(f"{doomed.what}: {in_a_line(doomed.name)}: {doomed.why}{size}\n", "the list")
    if not json:
        size = size_in_words(sum(doomed.size for doomed in gone))
        note(f"{counted(len(gone), 'thing')}, {size}, {'would go' if dry_run else 'gone'}")
