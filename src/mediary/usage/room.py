"""What the server knows of use: the ledger, what clients say, prices and counters; and what is too old goes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from mediary.errors import MediaryError, SettingsError
from mediary.settings import UsageSettings
from mediary.tasks import Late
from mediary.usage.counters import Counters
from mediary.usage.prices import Prices

if TYPE_CHECKING:
    from mediary.database.engine import Database
    from mediary.usage.ledger import Ledger
    from mediary.usage.reports import Reports
    from mediary.usage.traces import Traces

SWEEP_SECONDS = 900.0

logger = logging.getLogger(__name__)


class _Swept(Protocol):
    async def sweep(self) -> int: ...


class UsageRoom:
    """Everything about use, on a database that comes late. `free` are the providers that work on this machine.

    SettingsError for a price table that cannot be used.
    """

    def __init__(
        self,
        database: "Callable[[], Awaitable[Database]]",
        settings: UsageSettings,
        free: Collection[str] = (),
        counters: Counters | None = None,
    ) -> None:
        self.counters = counters or Counters()
        self.prices = Prices(settings.prices, free)
        self.ledger: Late[Ledger] = Late(self._open_ledger)
        self.reports: Late[Reports] = Late(self._open_reports)
        self._database = database
        self._keep_days = settings.keep_days
        self._sweeping: asyncio.Task[None] | None = None

    def begin_upkeep(self) -> None:
        """Begin to remove what is too old, until `close`; one process of a server does it for all."""
        self._sweeping = asyncio.create_task(self._sweep(), name="usage upkeep")

    async def close(self) -> None:
        """Stop removing."""
        if self._sweeping:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])

    async def _sweep(self) -> None:
        while True:
            try:
                for swept in (await self.ledger(), await self.reports()):
                    await _empty(swept)
            except MediaryError as error:
                logger.warning("old usage records are not removed", extra={"cause": error.message})
            await asyncio.sleep(SWEEP_SECONDS)

    async def _open_ledger(self) -> "Ledger":
        imported = await asyncio.to_thread(import_module, "mediary.usage.ledger")
        ledger: Ledger = imported.Ledger(await self._database(), self._keep_days)
        return ledger

    async def _open_reports(self) -> "Reports":
        imported = await asyncio.to_thread(import_module, "mediary.usage.reports")
        reports: Reports = imported.Reports(await self._database(), self._keep_days)
        return reports


def open_traces(endpoint: str | None) -> "Traces | None":
    """What sends traces there; SettingsError if the extra for it is not installed."""
    if endpoint is None:
        return None
    try:
        imported = import_module("mediary.usage.traces")
    except ImportError:
        raise SettingsError(
            'usage.trace takes OpenTelemetry, which is not installed: pip install "mediary[otel]"'
        ) from None
    traces: Traces = imported.Traces(endpoint)
    return traces


async def _empty(swept: _Swept) -> None:
    """Remove all that is too old, a little at a time: writers come in between."""
    while await swept.sweep():
        pass
