"""How the services are wired, as far as no feature shows it."""

import asyncio

import pytest

from mediary.errors import SettingsError
from mediary.services import Late


async def test_what_is_late_is_made_once_for_all():
    made: list[object] = []

    async def make() -> object:
        await asyncio.sleep(0)
        made.append(object())
        return made[-1]

    late = Late(make)
    first, second = await asyncio.gather(late(), late())
    assert first is second is await late()
    assert len(made) == 1


async def test_what_could_not_be_made_is_tried_again():
    """A key could not be written while the disk was full."""
    reasons = [SettingsError("no space")]

    async def make() -> str:
        if reasons:
            raise reasons.pop()
        return "made"

    late = Late(make)
    with pytest.raises(SettingsError):
        await late()
    assert await late() == "made"
