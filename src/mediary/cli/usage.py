"""`mediary usage`: what the turns of the last days used and cost, in a table."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mediary.cli.media.session import AsJson, emit, note, opened, perform
from mediary.cli.options import Config, Data
from mediary.cli.terminal import in_a_line, write_out
from mediary.settings import Settings
from mediary.usage.record import NANO

if TYPE_CHECKING:
    from mediary.usage.statistics import Group, Statistics

By = Literal["day", "model", "provider", "user"]

COLUMNS = ("turns", "prompt", "completion", "pictures", "cost")


def usage(
    days: Annotated[int, typer.Option(min=1, max=3660, help="How many days, with today, of UTC.")] = 30,
    by: Annotated[By, typer.Option(help="What each line stands for.")] = "model",
    user: Annotated[str | None, typer.Option(help="Only what this label used.", show_default=False)] = None,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Show what the turns of the last days used, and what that cost as far as it is known."""

    async def work(settings: Settings) -> "Statistics":
        async with opened(settings) as services:
            return await (await services.usage.ledger()).statistics(days, user)

    found = perform(work, data, config)
    groups = [group for group in _groups(found, by) if group.sums["requests"]]
    if json:
        for group in groups:
            told = group.describe()
            emit({by: group.name, **told, "cost": None if told["cost"] is None else float(told["cost"])})
        return
    if sys.stdout.isatty():
        _show_table(by, groups, found.totals)
    else:
        write_out("".join("\t".join([in_a_line(group.name), *_cells(group)]) + "\n" for group in groups))
    if unpriced := round(found.totals.sums["requests"] - found.totals.sums["priced"]):
        note(f"the cost of {unpriced:,} of {round(found.totals.sums['requests']):,} turns is not known")


def _groups(found: "Statistics", by: By) -> Iterable["Group"]:
    return {"day": found.days, "model": found.models, "provider": found.providers, "user": found.users}[by]


def _cells(group: "Group") -> list[str]:
    names = ("requests", "prompt_tokens", "completion_tokens", "pictures")
    cost = f"{group.sums['cost'] / NANO:.4f}" if group.sums["priced"] else "unknown"
    return [*(f"{round(group.sums[name]):,}" for name in names), cost]


def _show_table(by: By, groups: Iterable["Group"], totals: "Group") -> None:
    # imported here: through a pipe, and for JSON, nobody needs it
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False, show_edge=False, show_footer=True)
    table.add_column(by, footer="all")
    for name, total in zip(COLUMNS, _cells(totals), strict=True):
        table.add_column(f"{name}, $" if name == "cost" else name, footer=total, justify="right")
    for group in groups:
        table.add_row(Text(in_a_line(group.name) or "(none)"), *_cells(group))
    Console(highlight=False).print(table)
