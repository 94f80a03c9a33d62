"""Politeness: the turns of a host, and the leave of its robots.txt."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.buckets.crawl.site import Site
from tests.clock import Jump, jump  # noqa: F401 - a fixture
from tests.net.names import client_with
from tests.servers.http import response

from mediary.buckets.crawl.hosts import Hosts
from mediary.buckets.crawl.plan import Download
from mediary.buckets.crawl.turns import Turns
from mediary.errors import AddressRefusedError, DownloadError


@pytest.fixture
async def hosts() -> AsyncIterator[Hosts]:
    async with client_with(allow=["127.0.0.0/8"]) as http:
        yield Hosts(http)


async def all_done_that_can(tasks: list[asyncio.Task[None]]) -> int:
    """How many of these are done, when none of the others can go on by itself."""
    for _ in range(10):
        await asyncio.sleep(0)
    return sum(task.done() for task in tasks)


async def test_requests_to_a_host_keep_their_distance(jump: Jump):  # noqa: F811
    turns = Turns()
    tasks = [asyncio.create_task(turns.take("a", 60)) for _ in range(3)]
    done = []
    for ahead in (0, 59, 61, 119, 121):
        jump(ahead)
        done.append(await all_done_that_can(tasks))
    assert done == [1, 1, 2, 2, 3]


async def test_hosts_do_not_wait_for_one_another():
    turns = Turns()
    await asyncio.gather(turns.take("a", 60), turns.take("b", 60), turns.take("c", 60))
    assert turns.due("a") > 50
    assert turns.due("d") == 0


async def test_a_host_that_wants_none_for_now(jump: Jump):  # noqa: F811
    turns = Turns()
    turns.hold("a", 100)
    turns.hold("a", 10)
    task = asyncio.create_task(turns.take("a", 0))
    assert await all_done_that_can([task]) == 0
    jump(101)
    assert await all_done_that_can([task]) == 1


@pytest.mark.parametrize(
    ("robots", "delay", "due"),
    [
        ("", 0, 0),
        ("", 200, 200),
        ("Crawl-delay: 0.01", 200, 200),
        ("Crawl-delay: 30", 0, 30),
        ("Crawl-delay: 999", 0, 60),
    ],
)
async def test_the_longer_pause_counts(hosts: Hosts, web: Site, robots: str, delay: float, due: float):
    web.put("/robots.txt", response(f"User-agent: *\n{robots}".encode()))
    await hosts.admit(f"{web.url}/", Download(url=web.url, delay=0))  # robots.txt is read
    if delay:
        await hosts.admit(f"{web.url}/", Download(url=web.url, delay=delay))
    assert due - 20 < hosts.turns.due(web.url.removeprefix("http://")) <= due


async def test_one_robots_txt_for_many(hosts: Hosts, web: Site):
    entry = Download(url=web.url, delay=0)
    await asyncio.gather(*(hosts.admit(f"{web.url}/{number}", entry) for number in range(10)))
    assert [request.target for request in web.server.received] == ["/robots.txt"]


async def test_no_leave(hosts: Hosts, web: Site):
    web.put("/robots.txt", response(b"User-agent: *\nDisallow: /a?b"))
    entry = Download(url=web.url, delay=0)
    await hosts.admit(f"{web.url}/a", entry)
    with pytest.raises(DownloadError, match=r"robots\.txt of .* does not allow it"):
        await hosts.admit(f"{web.url}/a?b=c", entry)


async def test_an_address_that_may_not_be_reached(web: Site):
    async with client_with() as http:
        with pytest.raises(AddressRefusedError):
            await Hosts(http).admit(web.url, Download(url=web.url, delay=0))
    assert web.server.received == []
