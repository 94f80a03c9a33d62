"""Walks through stores and the catalog in the order of names, side by side."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from mediary.errors import NotFoundError
from mediary.media.item import MediaItem
from mediary.storage.base import Store, StoredFile
from mediary.tasks import all_of

if TYPE_CHECKING:
    from mediary.media.catalog import Catalog

T = TypeVar("T")
L = TypeVar("L", bound="Named")
R = TypeVar("R", bound="Named")

Progress = Callable[[int, int, int], None]
"""Is told how many files are done, of how many, and the bytes read so far."""

AT_ONCE = 4
"""Files that are read at the same time."""

# A local store looks through its whole folder for each page.
_PAGE = 50_000
_ROWS = 500


class HasName(Protocol):
    """Whatever bears the name of a file."""

    @property
    def name(self) -> str:
        """That name."""
        ...


Named = str | HasName


@dataclass(slots=True, frozen=True, order=True)
class Finding:
    """Something that is not as it should be with a file, and what."""

    name: str
    why: str


async def files_of(store: Store) -> AsyncGenerator[StoredFile, None]:
    """All files of a store in the order of their names; what comes or goes meanwhile may be among them or not."""
    after: str | None = None
    while True:
        page = await store.list(after, _PAGE)
        for file in page.files:
            yield file
        if (after := page.next) is None:
            return


async def names_of(catalog: "Catalog") -> AsyncGenerator[str, None]:
    """The names of all items in their order; an item that goes meanwhile does not disturb it."""
    after = ""
    while names := await catalog.names(after, _PAGE):
        for name in names:
            yield name
        after = names[-1]


async def items_of(catalog: "Catalog") -> AsyncGenerator[MediaItem, None]:
    """All items in the order of their names."""
    cursor: str | None = None
    while True:
        page = await catalog.list(order="name", cursor=cursor, limit=_ROWS)
        for item in page.items:
            yield item
        if (cursor := page.next) is None:
            return


async def side_by_side(
    left: AsyncGenerator[L, None], right: AsyncGenerator[R, None]
) -> AsyncGenerator[tuple[L | None, R | None], None]:
    """What has the same name on both sides together, and alone what one side lacks; both are in the order of names."""
    async with aclosing(left), aclosing(right):
        here, there = await anext(left, None), await anext(right, None)
        while here is not None or there is not None:
            name = min(_name(thing) for thing in (here, there) if thing is not None)
            on_left, on_right = here is not None and _name(here) == name, there is not None and _name(there) == name
            yield here if on_left else None, there if on_right else None
            here = await anext(left, None) if on_left else here
            there = await anext(right, None) if on_right else there


async def for_each(things: AsyncGenerator[T, None], work: Callable[[T], Awaitable[None]]) -> None:
    """Do the work for each thing, for some of them at the same time; the first error ends all."""
    turn = asyncio.Lock()

    async def worker() -> None:
        while True:
            async with turn:
                thing = await anext(things, None)
            if thing is None:
                return
            await work(thing)

    async with aclosing(things):
        await all_of(worker() for _ in range(AT_ONCE))


async def exists(store: Store, name: str) -> bool:
    """Whether there is such a file now."""
    try:
        await store.get(name)
    except NotFoundError:
        return False
    return True


def _name(thing: Named) -> str:
    return thing if isinstance(thing, str) else thing.name
