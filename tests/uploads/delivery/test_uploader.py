"""The uploader: what is there is not sent, what many want is sent once, and what fails leaves nothing behind."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.uploads.contents import file_of
from tests.uploads.databases import both
from tests.uploads.flows import KEY, Named, Plain, Service, Simple, serving, table

from mediary.database.engine import Database
from mediary.errors import (
    MissingAuthError,
    NotFoundError,
    ProviderError,
    RateLimitError,
    ShutdownError,
    TooLargeError,
    UnsupportedTypeError,
    UploadDamagedError,
    UploadRefusedError,
)
from mediary.net.client import HttpClient
from mediary.testing.uploads import FlowContract
from mediary.uploads.base import Credentials, File, Flow, UploadedFile
from mediary.uploads.contents import PathContent, file_at
from mediary.uploads.delivery.uploader import Uploader
from mediary.uploads.records.cache import UploadCache
from mediary.uploads.records.tables import upload_claims, uploads

DATA = b"0123456789abcdefgh"
PARTS = 5
BOB = Credentials(api_key="secret-of-bob")

Make = Callable[..., Uploader]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as service:
        yield service


@pytest.fixture
def flow(service: Service, http: HttpClient) -> Plain:
    return Plain("Plain", table(service.url), http)


@pytest.fixture
async def make(database: Database, flow: Plain) -> AsyncIterator[Make]:
    """Makes uploaders as other processes would have them: they share the database alone."""
    async with AsyncExitStack() as stack:

        def make(*flows: Flow[Any], lease: float = 15.0, **more: Any) -> Uploader:
            cache = UploadCache(database, lease)

            async def get() -> UploadCache:
                return cache

            uploader = Uploader({each.name: each for each in flows or (flow,)}, get, **more)
            stack.push_async_callback(uploader.close)
            return uploader

        yield make


@pytest.fixture
def uploader(make: Make) -> Uploader:
    return make()


@pytest.fixture
def file() -> File:
    return file_of(DATA, "a.txt", "text/plain")


async def rows(database: Database) -> tuple[int, int]:
    """How many uploads and how many claims there are."""
    async with database.connect() as connection:
        counts = [await connection.scalar(select(func.count()).select_from(each)) for each in (uploads, upload_claims)]
    return counts[0] or 0, counts[1] or 0


def at_path(file: File, path: Path) -> File:
    stored = file_at(path)
    return replace(file, content=PathContent(path, stored.size, stored.etag))


async def cancelled(task: "asyncio.Task[object]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class TestContract(FlowContract):
    @pytest.fixture
    def flow(self, flow: Plain) -> Plain:
        return flow

    @pytest.fixture
    def nobody(self, service: Service, http: HttpClient) -> Plain:
        return Plain("Plain", table(service.url, api_key=None), http)

    @pytest.fixture
    def others(self) -> Credentials:
        return BOB

    @pytest.fixture
    def secret(self) -> str:
        return KEY

    @pytest.fixture
    def stored(self, service: Service) -> Any:
        async def read(uploaded: UploadedFile) -> bytes:
            return service.files[uploaded.id]

        return read


@both
class TestOnce:
    async def test_what_is_there_is_not_sent_again(
        self, uploader: Uploader, make: Make, flow: Plain, file: File, service: Service
    ):
        first = await uploader.upload(flow, file)
        assert not first.cached
        assert service.files[first.file.id] == DATA
        again = await uploader.upload(flow, file)
        after_a_restart = await make().upload(flow, file)
        found = await uploader.find(flow, file, flow.account(Credentials()))
        assert again == after_a_restart == found
        assert (again.id, again.file, again.cached) == (first.id, first.file, True)
        assert (service.tickets, len(service.parts), service.receipts) == (1, PARTS, 1)

    async def test_twenty_at_once_are_one_upload_and_all_see_it_grow(
        self, uploader: Uploader, flow: Plain, file: File, service: Service, database: Database
    ):
        told: list[list[int]] = [[] for _ in range(20)]
        all_wait = asyncio.Event()

        def hear(each: list[int], sent: int) -> None:
            each.append(sent)
            if sent == 4:  # the first part is there: no more until all twenty wait for the rest
                service.gate.clear()
            if all(told):
                all_wait.set()

        tasks = [asyncio.create_task(uploader.upload(flow, file, progress=partial(hear, each))) for each in told]
        await all_wait.wait()
        service.gate.set()
        done = await asyncio.gather(*tasks)
        assert len({upload.id for upload in done}) == 1
        assert (service.tickets, len(service.parts), service.receipts) == (1, PARTS, 1)
        assert told == [[4, 8, 12, 16, 18]] * 20
        assert await rows(database) == (1, 0)

    async def test_who_comes_late_is_told_how_far_it_is(self, uploader: Uploader, flow: Plain, service: Service):
        file = file_of(DATA, "a.txt", "text/plain")
        half = asyncio.Event()
        late: list[int] = []
        boarded = asyncio.Event()

        def hear(sent: int) -> None:
            late.append(sent)
            boarded.set()

        def hold(sent: int) -> None:
            if sent == 8:
                service.gate.clear()
                half.set()

        first = asyncio.create_task(uploader.upload(flow, file, progress=hold))
        await half.wait()
        second = asyncio.create_task(uploader.upload(flow, file, progress=hear))
        await boarded.wait()
        service.gate.set()
        assert await first == await second
        assert late == [8, 12, 16, 18]

    async def test_two_processes_at_once_are_one_upload(
        self, make: Make, flow: Plain, file: File, service: Service, database: Database
    ):
        service.gate.clear()
        first = asyncio.create_task(make().upload(flow, file))
        await service.arrived.wait()
        second = asyncio.create_task(make().upload(flow, file))
        assert not (await asyncio.wait([first, second], timeout=0.4))[0]
        service.gate.set()
        sent, found = await first, await second
        assert (found.id, sent.cached, found.cached) == (sent.id, False, True)
        assert service.tickets == 1
        assert await rows(database) == (1, 0)

    async def test_a_claim_is_renewed_while_it_is_used(self, make: Make, flow: Plain, file: File, service: Service):
        service.gate.clear()
        first = asyncio.create_task(make(lease=0.3).upload(flow, file))
        await service.arrived.wait()
        second = asyncio.create_task(make().upload(flow, file))
        assert not (await asyncio.wait([first, second], timeout=1))[0]
        service.gate.set()
        assert (await first).id == (await second).id
        assert service.tickets == 1

    async def test_names_and_models_count_where_the_provider_keeps_them(
        self, service: Service, http: HttpClient, make: Make
    ):
        plain, named = Plain("Plain", table(service.url), http), Named("Named", table(service.url), http)
        uploader = make(plain, named)

        async def upload(flow: Flow[Any], name: str, model: str | None = None) -> str:
            upload = await uploader.upload(flow, file_of(DATA, name, "text/plain"), model=model)
            assert upload.file.name == name
            return upload.id

        assert await upload(plain, "a.txt") == await upload(plain, "b.txt", "large")
        ids = [
            await upload(named, name, model) for name, model in (("a.txt", None), ("b.txt", None), ("a.txt", "large"))
        ]
        assert len(set(ids)) == 3
        assert await upload(named, "a.txt", "large") == ids[2]
        assert service.tickets == 4

    async def test_tables_share_but_where_their_keys_make_another_file_of_it(
        self, service: Service, http: HttpClient, make: Make, file: File
    ):
        keys: list[dict[str, object]] = [{}, {"limit": 99}, {"purpose": "vision"}, {"purpose": "vision", "limit": 99}]
        flows = [Named(f"Named{number}", table(service.url, **more), http) for number, more in enumerate(keys)]
        uploader = make(*flows)
        ids = [(await uploader.upload(flow, file)).id for flow in flows]
        assert (ids[0], ids[2]) == (ids[1], ids[3])
        assert ids[0] != ids[2]
        assert service.tickets == 2

    async def test_accounts_do_not_share(self, uploader: Uploader, flow: Plain, file: File, service: Service):
        anns = await uploader.upload(flow, file)
        bobs = await uploader.upload(flow, file, BOB)
        assert anns.file.id != bobs.file.id
        assert await uploader.upload(flow, file, Credentials(api_key=KEY)) != bobs
        assert service.tickets == 2

    async def test_services_do_not_share(self, service: Service, http: HttpClient, make: Make, file: File):
        async with serving() as elsewhere:
            flows = [Plain("Here", table(service.url), http), Plain("There", table(elsewhere.url), http)]
            uploader = make(*flows)
            here, there = [await uploader.upload(flow, file) for flow in flows]
        assert here.id != there.id
        assert (service.tickets, elsewhere.tickets) == (1, 1)


class TestEnd:
    @pytest.mark.parametrize(("left", "cached"), [(31, True), (29, False), (-5, False)])
    async def test_a_link_is_used_until_shortly_before_its_end(
        self, uploader: Uploader, flow: Plain, file: File, service: Service, left: float, cached: bool
    ):
        service.expires_at = time.time() + left
        await uploader.upload(flow, file)
        assert (await uploader.upload(flow, file)).cached is cached

    async def test_the_settings_may_set_an_end(
        self, service: Service, http: HttpClient, make: Make, file: File, database: Database
    ):
        await make().upload(Plain("Plain", table(service.url), http), file)
        for seconds, cached in ((3600.0, True), (1e-6, False)):
            flow = Plain("Plain", table(service.url, cache_seconds=seconds), http)
            assert (await make(flow).upload(flow, file)).cached is cached

    async def test_what_the_provider_does_not_know_any_more(
        self, uploader: Uploader, flow: Plain, file: File, service: Service
    ):
        first = await uploader.upload(flow, file)
        await uploader.void(first)
        await uploader.void(first)
        assert await uploader.find(flow, file, flow.account(Credentials())) is None
        second = await uploader.upload(flow, file)
        assert not second.cached
        # Who is late to hear of the first does not take the second away.
        await uploader.void(first)
        assert (await uploader.upload(flow, file)).id == second.id

    async def test_without_a_cache_everything_is_sent_and_listed(
        self, service: Service, http: HttpClient, make: Make, file: File
    ):
        flow = Plain("Plain", table(service.url, image_cache=False), http)
        uploader = make(flow)
        done = await asyncio.gather(*(uploader.upload(flow, file) for _ in range(3)))
        done += await asyncio.gather(*(uploader.upload(flow, file, resumable=True) for _ in range(2)))
        assert service.tickets == len({upload.file.id for upload in done}) == 5
        assert {upload.id for upload in (await uploader.list()).uploads} == {upload.id for upload in done}
        # Switched on again, what was sent meanwhile is not used.
        flow = Plain("Plain", table(service.url), http)
        assert not (await make(flow).upload(flow, file)).cached

    async def test_an_unknown_end_is_one(self, make: Make, service: Service, http: HttpClient, file: File):
        class Unknown(Plain):
            async def receipt(self, *arguments: Any) -> UploadedFile:
                uploaded = await super().receipt(*arguments)
                return UploadedFile(
                    **{name: getattr(uploaded, name) for name in uploaded.__struct_fields__} | {"reusable": False}
                )

        flow = Unknown("Plain", table(service.url), http)
        uploader = make(flow)
        first, second = await uploader.upload(flow, file), await uploader.upload(flow, file)
        assert first.file.id != second.file.id
        assert len((await uploader.list()).uploads) == 2


class TestRefusals:
    """What a provider or its storage has against a file."""

    async def test_what_is_not_taken_is_refused_before_a_request(
        self, service: Service, http: HttpClient, make: Make, uploader: Uploader, flow: Plain
    ):
        with pytest.raises(UnsupportedTypeError, match=r"image/\*, text/plain"):
            await uploader.upload(flow, file_of(DATA, "a.zip", "application/zip"))
        small = Plain("Small", table(service.url, limit=17), http)
        with pytest.raises(TooLargeError, match="17"):
            await make(small).upload(small, file_of(DATA, "a.txt", "text/plain"))
        assert service.tickets == 0

    @pytest.mark.parametrize(
        ("status", "error"),
        [(401, MissingAuthError), (403, MissingAuthError), (429, RateLimitError), (400, ProviderError)],
    )
    async def test_of_a_ticket(
        self,
        uploader: Uploader,
        flow: Plain,
        file: File,
        service: Service,
        database: Database,
        status: int,
        error: type[ProviderError],
    ):
        service.answer("ticket", status, b'{"error": {"message": "not today"}}', **{"Retry-After": "7"})
        with pytest.raises(error, match="Plain: not today") as caught:
            await uploader.upload(flow, file)
        assert getattr(caught.value, "retry_after", 7) == 7
        assert (service.tickets, service.parts, await rows(database)) == (1, [], (0, 0))
        assert not (await uploader.upload(flow, file)).cached

    async def test_all_who_waited_hear_of_it(self, uploader: Uploader, flow: Plain, file: File, service: Service):
        service.answer("ticket", 429)
        done = await asyncio.gather(*(uploader.upload(flow, file) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in done] == [RateLimitError] * 3

    @pytest.mark.parametrize("status", [401, 403, 404, 410])
    async def test_of_an_outdated_link_a_new_one_is_asked_for_once(
        self, uploader: Uploader, flow: Plain, file: File, service: Service, database: Database, status: int
    ):
        service.answer("part", status)
        upload = await uploader.upload(flow, file)
        assert service.files == {upload.file.id: DATA}
        assert (service.tickets, service.aborted, service.abandoned) == (2, ["file-1"], ["file-1"])
        service.answer("part", status)
        service.answer("part", status, b"no, really")
        with pytest.raises(UploadRefusedError, match="no, really"):
            await uploader.upload(flow, file, BOB)
        assert (service.tickets, service.aborted[1:]) == (4, ["file-3", "file-4"])
        assert await rows(database) == (1, 0)

    @pytest.mark.parametrize("status", [400, 409, 413])
    async def test_of_the_bytes(
        self, uploader: Uploader, flow: Plain, file: File, service: Service, database: Database, status: int
    ):
        service.answer("part", status)
        with pytest.raises(UploadRefusedError, match=str(status)):
            await uploader.upload(flow, file)
        assert (service.tickets, service.aborted, service.abandoned) == (1, ["file-1"], ["file-1"])
        assert await rows(database) == (0, 0)

    async def test_of_the_receipt(
        self, uploader: Uploader, flow: Plain, file: File, service: Service, database: Database
    ):
        service.answer("receipt", 400, b'{"error": {"message": "I see no file"}}')
        with pytest.raises(ProviderError, match="I see no file"):
            await uploader.upload(flow, file)
        assert await uploader.find(flow, file, flow.account(Credentials())) is None
        assert (service.tickets, service.aborted) == (1, ["file-1"])
        assert await rows(database) == (0, 0)

    async def test_of_bytes_that_were_damaged_on_their_way(
        self, uploader: Uploader, flow: Plain, file: File, service: Service, database: Database
    ):
        service.damage = 1
        upload = await uploader.upload(flow, file)
        assert service.tickets == 2
        assert service.files[upload.file.id] == DATA
        service.damage = 2
        with pytest.raises(UploadDamagedError):
            await uploader.upload(flow, file, BOB)
        assert service.tickets == 4
        assert await rows(database) == (1, 0)

    async def test_what_cannot_be_cleared_away_is_no_error_of_its_own(
        self, make: Make, service: Service, http: HttpClient, file: File
    ):
        class Untidy(Plain):
            async def abandon(self, *_: Any) -> None:
                raise ProviderError("it is too late")

        flow = Untidy("Plain", table(service.url), http)
        service.answer("receipt", 400, b"the first word")
        with pytest.raises(ProviderError, match="the first word"):
            await make(flow).upload(flow, file)


@both
class TestCancelled:
    async def test_in_the_middle_everything_is_cleared_away(
        self, uploader: Uploader, flow: Plain, file: File, service: Service, database: Database
    ):
        service.gate.clear()
        task = asyncio.create_task(uploader.upload(flow, file))
        await service.arrived.wait()
        await cancelled(task)
        await asyncio.wait_for(service.left.wait(), 10)
        assert (service.aborted, service.abandoned, service.begun) == (["file-1"], ["file-1"], {})
        assert await rows(database) == (0, 0)
        service.gate.set()
        assert not (await uploader.upload(flow, file)).cached

    async def test_the_last_who_waits_ends_it(self, uploader: Uploader, flow: Plain, file: File, service: Service):
        service.gate.clear()
        tasks = [asyncio.create_task(uploader.upload(flow, file)) for _ in range(3)]
        await service.arrived.wait()
        for task in tasks[:2]:
            await cancelled(task)
        assert service.aborted == []
        service.gate.set()
        assert (await tasks[2]).file.id == "file-1"
        assert service.aborted == []

    async def test_who_comes_while_it_ends_begins_anew(
        self, uploader: Uploader, flow: Plain, file: File, service: Service
    ):
        service.gate.clear()
        first = asyncio.create_task(uploader.upload(flow, file))
        await service.arrived.wait()
        first.cancel()
        second = asyncio.create_task(uploader.upload(flow, file))
        service.gate.set()
        assert (await second).file.id == "file-2"
        assert first.cancelled()

    async def test_at_any_point(self, uploader: Uploader, flow: Plain, service: Service, database: Database):
        """Whatever it was about to do: what is not there is not remembered, and nobody has to wait."""
        for steps in range(0, 200, 7):
            file = file_of(DATA + bytes([steps]), "a.txt", "text/plain")
            task = asyncio.create_task(uploader.upload(flow, file))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert (await rows(database))[1] == 0
            page = await uploader.list(limit=500)
            assert {upload.file.id for upload in page.uploads} == set(service.files)

    async def test_with_the_server(
        self, uploader: Uploader, flow: Plain, file: File, service: Service, database: Database
    ):
        service.gate.clear()
        task = asyncio.create_task(uploader.upload(flow, file))
        await service.arrived.wait()
        await uploader.close()
        with pytest.raises(ShutdownError):
            await task
        assert (service.aborted, await rows(database)) == (["file-1"], (0, 0))

    @pytest.mark.parametrize("left_before", [False, True])
    async def test_with_the_server_though_the_service_hears_nothing_any_more(
        self,
        uploader: Uploader,
        flow: Plain,
        file: File,
        service: Service,
        database: Database,
        monkeypatch,
        left_before,
    ):
        monkeypatch.setattr("mediary.uploads.delivery.delivery.CLEANING_SECONDS", 3600.0)
        service.gate.clear()
        service.hears.clear()
        task = asyncio.create_task(uploader.upload(flow, file))
        await service.arrived.wait()
        if left_before:
            task.cancel()
            await service.told.wait()
        async with asyncio.timeout(60):
            await uploader.close()
            await asyncio.wait([task])
        assert (service.aborted, await rows(database)) == (["file-1"], (0, 0))
        assert task.cancelled() if left_before else isinstance(task.exception(), ShutdownError)


@both
class TestWhoLeaves:
    async def test_takes_their_bytes_along(
        self, uploader: Uploader, flow: Plain, file: File, service: Service, tmp_path: Path
    ):
        """A request's temporary files go with it; the others who wait have the bytes, too."""
        paths = [tmp_path / name for name in ("first", "second")]
        for path in paths:
            path.write_bytes(DATA)
        service.stop_after = 2
        boarded = asyncio.Event()
        first = asyncio.create_task(uploader.upload(flow, at_path(file, paths[0])))
        await service.arrived.wait()
        second = uploader.upload(flow, at_path(file, paths[1]), progress=lambda _: boarded.set())
        waiting = asyncio.create_task(second)
        await boarded.wait()
        await cancelled(first)
        paths[0].unlink()
        service.gate.set()
        assert (await waiting).file.id == "file-1"
        assert service.files == {"file-1": DATA}


class TestNames:
    def test_a_flow_has_its_name_in_any_case(self, uploader: Uploader, flow: Plain):
        assert uploader.get("Plain") is uploader.get("pLAIN") is flow

    @pytest.mark.parametrize(("name", "hint"), [("Plane", "did you mean Plain"), ("xyz", "there are: Plain")])
    def test_another_is_not_found(self, uploader: Uploader, name: str, hint: str):
        with pytest.raises(NotFoundError, match=hint):
            uploader.get(name)


class Web(Plain):
    """The same service, where people are known by what a browser has."""

    takes_cookies = True


class TestJar:
    async def test_it_is_for_flows_that_know_people_by_cookies(self, make: Make, service: Service, http: HttpClient):
        async def jar(url: str) -> Credentials:
            return BOB

        flow = Plain("Plain", table(service.url), http)
        account = await make(flow, jar=jar).account(flow)
        assert account.headers["Authorization"] == f"Bearer {KEY}"

    async def test_what_was_handed_in_stands_between_the_request_and_the_settings(
        self, make: Make, service: Service, http: HttpClient, file: File
    ):
        asked: list[str] = []

        async def jar(url: str) -> Credentials:
            asked.append(url)
            return BOB

        flow = Web("Plain", table(service.url), http)
        uploader = make(flow, jar=jar)
        bobs = await uploader.account(flow)
        assert bobs.headers["Authorization"] == "Bearer secret-of-bob"
        anns = await uploader.account(flow, Credentials(api_key=KEY))
        assert anns.headers["Authorization"] == f"Bearer {KEY}"
        # Cookies of the one and the key of the other would be two people.
        mixed = await uploader.account(flow, Credentials(cookies={"session": "of somebody"}))
        assert mixed.headers["Authorization"] == f"Bearer {KEY}"
        assert asked == [service.url]
        await uploader.upload(flow, file)
        assert await uploader.find(flow, file, bobs)
        assert await uploader.find(flow, file, anns) is None


class TestForget:
    async def test_here_and_there(
        self, uploader: Uploader, flow: Plain, file: File, service: Service, database: Database
    ):
        upload = await uploader.upload(flow, file)
        forgotten = await uploader.forget(upload.id)
        assert (forgotten.removed, forgotten.reason) == (True, None)
        assert (service.files, await rows(database)) == ({}, (0, 0))
        with pytest.raises(NotFoundError):
            await uploader.forget(upload.id)

    async def test_what_stays_there_is_told_with_its_reason(
        self, make: Make, service: Service, http: HttpClient, file: File, flow: Plain, database: Database
    ):
        simple = Simple("Simple", table(service.url), http)
        keyless = Plain("Plain", table(service.url, api_key=None), http)
        uploader = make(flow, simple)

        async def reason(uploader: Uploader, id_: str) -> str | None:
            forgotten = await uploader.forget(id_)
            assert not forgotten.removed
            return forgotten.reason

        assert "no way to remove" in (await reason(uploader, (await uploader.upload(simple, file)).id) or "")
        service.answer("remove", 403, b'{"error": {"message": "keep out"}}')
        assert "keep out" in (await reason(uploader, (await uploader.upload(flow, file)).id) or "")
        assert "api_key" in (await reason(make(keyless), (await uploader.upload(flow, file)).id) or "")
        assert "another account" in (await reason(uploader, (await uploader.upload(flow, file, BOB)).id) or "")
        assert "no Plain" in (await reason(make(simple), (await uploader.upload(flow, file)).id) or "")
        assert await rows(database) == (0, 0)

    async def test_with_the_credentials_of_the_request(
        self, uploader: Uploader, flow: Plain, file: File, service: Service
    ):
        upload = await uploader.upload(flow, file, BOB)
        assert (await uploader.forget(upload.id, BOB)).removed
        assert service.files == {}
