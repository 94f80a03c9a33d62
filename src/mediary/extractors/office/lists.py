"""Lists of formats that have none: paragraphs that say at which level of which list they are."""

from typing import NamedTuple

from mediary.extractors.office.writer import Writer


class _Open(NamedTuple):
    level: int
    tag: str
    name: str


class Lists:
    """Opens and closes a writer's lists around such paragraphs; numbers go on after an interruption."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._open: list[_Open] = []
        self._numbers: dict[tuple[str, int], int] = {}

    def item(self, name: str, level: int, *, numbered: bool, start: int = 1, restart: bool = False) -> None:
        """The next paragraph is an item of the list `name`, at a level from 0; `restart`: the first of a new list."""
        this = _Open(level, "ol" if numbered else "ul", name)
        if restart:
            self._numbers.pop((name, level), None)
            while self._open and self._open[-1].level >= level:
                self._close()
        number = self._count(name, level, start)
        while self._open and (
            self._open[-1].level > level or (self._open[-1].level == level and self._open[-1] != this)
        ):
            self._close()
        if self._open and self._open[-1] == this:
            self._writer.end("li")
        else:
            self._writer.start(this.tag, {"start": str(number)})
            self._open.append(this)
        self._writer.start("li")

    def restart(self, name: str) -> None:
        """The next item of the list is its first."""
        for key in [key for key in self._numbers if key[0] == name]:
            del self._numbers[key]

    def end(self) -> None:
        """The next paragraph is in no list."""
        while self._open:
            self._close()

    def _count(self, name: str, level: int, start: int) -> int:
        for other in [key for key in self._numbers if key[0] == name and key[1] > level]:
            del self._numbers[other]
        number = self._numbers[name, level] = self._numbers.get((name, level), start - 1) + 1
        return number

    def _close(self) -> None:
        self._writer.end("li")
        self._writer.end(self._open.pop().tag)
