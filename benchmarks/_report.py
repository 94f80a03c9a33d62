"""One table for every benchmark: what was measured, against what, and whether the limit holds."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """A figure: ours and the reference in words, their ratio (or a plain value), and the limit of it.

    `at_least` says on which side of the limit the value must be; None is a figure without one. `unit` is put behind
    value and limit.
    """

    figure: str
    ours: str
    reference: str
    value: float
    limit: float | None
    at_least: bool = False
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the value is on the right side of its limit."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def report(rows: list[Row], reference: str = "limit") -> bool:
    """Print the rows; True if every limit holds."""
    table = Table("figure", "Mediary", reference, "value", "limit", "")
    for column in table.columns[1:5]:
        column.justify = "right"
        column.no_wrap = True
    for row in rows:
        sign = "≥" if row.at_least else "≤"
        mark = "[green]ok[/]" if row.holds else "[red]missed[/]"
        limit = "" if row.limit is None else f"{sign} {row.limit:g}{row.unit}"
        table.add_row(row.figure, row.ours, row.reference, f"{row.value:.2f}{row.unit}", limit, mark)
    Console().print(table)
    return all(row.holds for row in rows)
