"""The event loop's clock, put forward: what would take a minute is due at once."""

import asyncio
from collections.abc import Callable

import pytest

Jump = Callable[[float], None]


@pytest.fixture
async def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Puts the event loop's clock forward by so many seconds: what was to happen meanwhile is due at once."""
    loop = asyncio.get_running_loop()
    real = loop.time

    def forward(seconds: float) -> None:
        monkeypatch.setattr(loop, "time", lambda: real() + seconds)

    return forward
