"""A provider whose service lists its models as OpenAI does, and all who copy it."""

import asyncio
import logging

from mediary.net.client import HttpClient
from mediary.providers.http.models import Told, read_models
from mediary.providers.http.provider import LIST_TIMEOUT, MAX_LIST, HttpProvider
from mediary.providers.http.service import Service
from mediary.settings import ProviderSettings

_LONG = 32 * 1024  # bytes from which reading a list is worth a thread: an entry takes longer than its bytes tell

logger = logging.getLogger(__name__)


class ListingProvider(HttpProvider[Told]):
    """Asks `/models`, and says once that it takes no more of a list that has no end."""

    def __init__(self, name: str, settings: ProviderSettings, http: HttpClient) -> None:
        super().__init__(name, settings, http)
        self._cut_list = False

    async def _list(self, service: Service) -> dict[str, Told]:
        async with service.open("GET", "/models", total=LIST_TIMEOUT) as answer:
            body = await answer.read(MAX_LIST)
        reading = asyncio.to_thread(read_models, self.name, body) if len(body) > _LONG else None
        told, left_out = await reading if reading else read_models(self.name, body)
        if left_out and not self._cut_list:
            self._cut_list = True
            logger.warning("a list of models is cut", extra={"provider": self.name, "left_out": left_out})
        return told
