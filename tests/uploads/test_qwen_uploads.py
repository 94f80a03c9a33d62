"""Qwen's flow under the uploader: what is sent once, what is sent again, what is left behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.servers.faulty import Cut, Faulty, Spoil, faulty
from tests.servers.oss import MIN_PART
from tests.servers.qwen import TOKEN, QwenService, qwen_service, says
from tests.uploads.carrying import uploader_of
from tests.uploads.contents import file_of

from mediary.errors import RateLimitError, UploadBrokenOffError, UploadRefusedError
from mediary.net.client import HttpClient
from mediary.settings import UploadSettings
from mediary.testing.uploads import FlowContract
from mediary.uploads.base import Credentials, UploadedFile
from mediary.uploads.delivery.uploader import Uploader
from mediary.uploads.qwen import Qwen
from mediary.uploads.records.entry import Upload

pytestmark = pytest.mark.usefixtures("no_delays")

LARGE = bytes(range(256)) * 2000


@pytest.fixture
async def service() -> AsyncIterator[QwenService]:
    async with qwen_service() as served:
        yield served


@pytest.fixture
async def proxy(service: QwenService) -> AsyncIterator[Faulty]:
    async with faulty(service.storage.port) as served:
        service.storage_url = served.url
        yield served


@pytest.fixture
async def uploader(service: QwenService, http: HttpClient, tmp_path: Path) -> AsyncIterator[Uploader]:
    table = UploadSettings(flow="qwen", base_url=service.url, single_bytes=200_000, part_bytes=MIN_PART)
    async with uploader_of(tmp_path, Qwen("Qwen", table, http)) as made:
        yield made


async def upload(uploader: Uploader, data: bytes = b"abc", **more: Any) -> Upload:
    return await uploader.upload(uploader.get("qwen"), file_of(data), Credentials(api_key=TOKEN), **more)


async def test_the_same_file_is_sent_once(service, uploader):
    first = await upload(uploader)
    again = await upload(uploader)
    assert (first.cached, again.cached) == (False, True)
    assert again.file == first.file and len(service.asked) == 1
    assert len(service.storage.asked) == 1


async def test_two_at_once_send_it_once(service, uploader):
    found = await asyncio.gather(*(upload(uploader, LARGE) for _ in range(20)))
    assert len({one.file.id for one in found}) == 1 and len(service.asked) == 1


async def test_a_link_that_ends_before_the_next_turn_has_the_file_sent_again(service, uploader):
    service.link_seconds = 20  # less than the margin
    first, second = await upload(uploader), await upload(uploader)
    assert not second.cached and first.file.id != second.file.id
    assert len(service.storage.objects) == 2


async def test_expired_keys_are_replaced_once(service, uploader):
    service.key_seconds = -1

    def renew(_: dict[str, Any]) -> None:
        service.key_seconds = 3600

    service.change = renew
    await upload(uploader)
    assert len(service.asked) == 2
    service.change, service.key_seconds = lambda _: None, -1
    with pytest.raises(UploadRefusedError, match="SecurityTokenExpired"):
        await upload(uploader, b"another")
    assert len(service.asked) == 4
    assert not (await uploader.find(uploader.get("qwen"), file_of(b"another"), account_of(uploader)))


def account_of(uploader: Uploader) -> Any:
    return uploader.get("qwen").account(Credentials(api_key=TOKEN))


async def test_bytes_that_were_damaged_are_sent_again(service, proxy, uploader):
    proxy.once(Spoil())
    await upload(uploader)
    assert [stored.data for stored in service.storage.objects.values()] == [b"abc"]
    proxy.once(Spoil(), lambda request: "partNumber=2" in request.target)
    uploaded = await upload(uploader, LARGE)
    assert service.storage.objects[service.files[uploaded.file.id]].data == LARGE
    assert service.storage.uploads == {}


async def test_one_who_leaves_in_the_middle_leaves_nothing_there(service, proxy, uploader):
    under_way = asyncio.Event()
    task = asyncio.create_task(upload(uploader, LARGE, progress=lambda _: under_way.set()))
    await under_way.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert service.storage.uploads == {} and service.storage.objects == {}
    assert not (await upload(uploader, LARGE)).cached


async def test_a_storage_that_fails_for_good_leaves_nothing_there(service, proxy, uploader):
    proxy.plan = lambda request: Cut(0.5) if "partNumber=3" in request.target else None
    with pytest.raises(UploadBrokenOffError):
        await upload(uploader, LARGE)
    assert service.storage.uploads == {} and service.storage.objects == {}


async def test_a_rate_limit_is_told_and_nothing_is_kept(service, uploader):
    service.refuse = lambda: says("RateLimited", "enough for today")
    with pytest.raises(RateLimitError, match=r"^RateLimited:enough for today$"):
        await upload(uploader)
    service.refuse = None
    assert not (await upload(uploader)).cached


class TestContract(FlowContract):
    @pytest.fixture
    def secret(self) -> str:
        return TOKEN

    @pytest.fixture
    def flow(self, service: QwenService, http: HttpClient) -> Qwen:
        return Qwen("Qwen", UploadSettings(flow="qwen", base_url=service.url, api_key=TOKEN), http)

    @pytest.fixture
    def nobody(self, service: QwenService, http: HttpClient) -> Qwen:
        return Qwen("Qwen", UploadSettings(flow="qwen", base_url=service.url), http)

    @pytest.fixture
    def stored(self, service: QwenService) -> Callable[[UploadedFile], Awaitable[bytes]]:
        async def read(file: UploadedFile) -> bytes:
            return service.storage.objects[service.files[file.id]].data

        return read
