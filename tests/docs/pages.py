"""The documentation, taken apart: its pages, the blocks of code on them, the links between them.

A comment above a block says how it is tested when it cannot simply be run:

    <!-- test: syntax, why it cannot be run here -->    only whether the shell can read it
    <!-- test: serve -->                                started, asked once, stopped
    <!-- test: tests/acceptance/test_x.py -->           run by that test
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(
    r"^(?:<!-- test: (?P<test>[^\n]+?) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")


@dataclass(frozen=True)
class Block:
    """A block of code on a page, and what is said about its test."""

    page: Path
    line: int
    language: str
    code: str
    test: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_shell(self) -> bool:
        """Whether it is there to be run in a shell."""
        return self.language in ("sh", "console", "bash", "shell")

    @property
    def only_syntax(self) -> bool:
        """Whether it cannot be run here."""
        return bool(self.test and self.test.startswith("syntax, "))

    @property
    def elsewhere(self) -> Path | None:
        """The test that runs it, when that is not this one."""
        return ROOT / self.test if self.test and self.test.endswith(".py") else None


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start("code")), match["language"], match["code"], match["test"])
        for match in _BLOCK.finditer(text)
    ]


def links(page: Path) -> list[Path]:
    """The files that a page links to."""
    return [(page.parent / target).resolve() for target in _LINK.findall(page.read_text(encoding="utf-8"))]


def all_blocks(language: str | None = None) -> list[Block]:
    """The blocks of all pages, or those in one language."""
    return [block for page in PAGES for block in blocks(page) if language in (None, block.language)]
