"""Which addresses may be reached, as a table and as connections that are or are not made."""

import socket
from ipaddress import IPv4Address, ip_address, ip_network

import pytest
from aiohttp import ClientConnectorDNSError, InvalidURL
from hypothesis import given
from hypothesis import strategies as st
from tests.net.names import Names, client_with
from tests.servers.http import proxy_to, raw_server, response

from mediary.errors import AddressRefusedError, BadRequestError, MediaryError
from mediary.net.client import HttpClient
from mediary.net.guard import Guard, GuardedResolver, SystemResolver

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.1.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "224.0.1.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:0:808:808::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:c0a8:101::",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
REACHABLE = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "198.20.0.1",
    "223.255.255.254",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
]


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_off_the_internet_are_refused(address: str):
    with pytest.raises(AddressRefusedError):
        Guard().check_address(address)


@pytest.mark.parametrize("address", REACHABLE)
def test_addresses_of_the_internet_are_not(address: str):
    Guard().check_address(address)


def plain(address: str) -> str:
    """The address without its scope, and as IPv4 where it is one in another spelling."""
    bare = address.partition("%")[0]
    return str(getattr(ip_address(bare), "ipv4_mapped", None) or bare)


@pytest.mark.parametrize("address", REFUSED)
def test_an_opened_network_is_open_and_nothing_else_is(address: str):
    guard = Guard([ip_network(plain(address))])
    guard.check_address(address)
    for other in REFUSED:
        if plain(other) != plain(address):
            with pytest.raises(AddressRefusedError):
                guard.check_address(other)


def test_a_mapped_address_is_the_address():
    Guard([ip_network("127.0.0.0/8")]).check_address("::ffff:127.0.0.1")


@pytest.mark.parametrize("way", ["64:ff9b::127.0.0.1", "2002:7f00:1::", "::127.0.0.1"])
def test_a_way_to_an_opened_address_is_not_opened_with_it(way: str):
    # The gateway that such an address leads to has a loopback of its own.
    with pytest.raises(AddressRefusedError):
        Guard([ip_network("127.0.0.0/8")]).check_address(way)


@given(st.ip_addresses(v=4))
def test_no_spelling_of_an_address_is_judged_more_kindly(address: IPv4Address):
    def refused(spelled: str) -> bool:
        try:
            Guard().check_address(spelled)
        except AddressRefusedError:
            return True
        return False

    number = int(address)
    if refused(str(address)):
        for around in (f"::ffff:{address}", f"::{address}", f"64:ff9b::{address}", f"::ffff:0:{address}"):
            assert refused(around)
        assert refused(f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1")


def test_the_message_says_how_to_open_the_network():
    with pytest.raises(AddressRefusedError, match=r'127\.0\.0\.5 .*`\[net\] allow = \["127\.0\.0\.0/8"\]` in mediary'):
        Guard().check_address("127.0.0.5")
    with pytest.raises(AddressRefusedError, match=r'nas\.example leads to 10\.0\.0\.7.*\["10\.0\.0\.7/32"\]'):
        Guard().check_address("10.0.0.7", "nas.example")
    with pytest.raises(AddressRefusedError, match=r'\["::1/128"\]'):
        Guard().check_address("::1")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "data:text/plain,x",
        "/relative",
        "//example.com/",
        "",
        "http://",
        "http:///path",
        "http:127.0.0.1/",
        "http://user@example.com/",
        "http://user:pass@example.com/",
        "http://:@example.com/",
        "http://example.com@127.0.0.1/",
        "http://example.com\\@127.0.0.1/",
        "http://127.0.0.1\t/",
        "http://127.0.0.1/",
        "http://127.0.0.1./",
        "http://127.0.0.1../",
        "http://127.1/",
        "http://127.1./",
        "http://127.0.1/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://017700000001/",
        "http://2130706433/",
        "http://0/",
        "http://0.0.0.0/",
        "http://134744072/",
        "http://①②⑦.⓪.⓪.①/",
        "http://127。0。0。1/",
        "http://１２７.0.0.1/",  # noqa: RUF001 - and other digits
        "http://%31%32%37.0.0.1/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::169.254.169.254]/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://ex ample.com/",
        "http://example..com/",
        "http://.example.com/",
        "http://exam\x00ple.com/",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://" + "a" * 64 + ".com/",
        "http://" + "a." * 130 + "com/",
    ],
)
def test_urls_that_are_refused_without_asking_a_name_server(url: str):
    with pytest.raises(BadRequestError):  # AddressRefusedError is one
        Guard().check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://example.com:8443/a?b=c@d#e@f",
        "HTTPS://EXAMPLE.COM/",
        "http://example.com./",
        "http://bücher.example/",
        "http://my_host.example/",
        "http://localhost/",  # a name: its addresses are judged when they are known
        "http://8.8.8.8/",
        "http://[2001:4860:4860::8888]:80/",
        "http://example.com/http://127.0.0.1/",
        "http://1e100.net/",
    ],
)
def test_urls_that_pass(url: str):
    Guard().check_url(url)


@given(st.text(max_size=40), st.sampled_from(["", "http://", "https://", "http://[", "http://1", "http://a@"]))
def test_no_url_breaks_the_guard(text: str, before: str):
    try:
        Guard().check_url(before + text)
    except MediaryError as error:
        assert error.status == 400  # noqa: PT017 - it is one or the other


async def connects(client: HttpClient, url: str) -> int:
    async with client.request("GET", url) as answer:
        return answer.status


@pytest.fixture
async def server():
    async with raw_server() as server:
        server.answers["/"] = response(b"inside")
        yield server


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "0"])
async def test_nothing_connects_to_loopback(server, host: str):
    async with client_with() as client:
        with pytest.raises(AddressRefusedError):
            await connects(client, f"http://{host}:{server.port}/")
    assert server.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "127.1", "0x7f.1", "localhost", "inside.example"])
async def test_the_connection_itself_is_guarded(server, host: str):
    names = Names(inside_example=[["127.0.0.1"]], localhost=[["127.0.0.1"]])
    async with client_with(names) as client:
        session = client._session(trusted=False)  # as if the check of the URL had been got round
        with pytest.raises((AddressRefusedError, InvalidURL, ClientConnectorDNSError)):
            await session.get(f"http://{host}:{server.port}/")
    assert server.connections == 0


async def test_an_opened_network_can_be_reached(server):
    async with client_with(allow=["127.0.0.1/32"]) as client:
        assert await connects(client, f"{server.url}/") == 200
        assert await connects(client, f"http://localhost:{server.port}/") == 200
        with pytest.raises(AddressRefusedError):
            await connects(client, f"http://127.0.0.2:{server.port}/")


async def test_what_the_operator_configured_needs_no_leave(server):
    async with client_with() as client, client.request("GET", f"{server.url}/", trusted=True) as answer:
        assert await answer.read() == b"inside"


@pytest.mark.parametrize("addresses", [["8.8.8.8", "127.0.0.1"], ["::1", "8.8.8.8"], ["8.8.8.8", "fe80::1%eth0"]])
async def test_one_bad_address_refuses_the_name(server, addresses: list[str]):
    async with client_with(Names(mixed_example=[addresses])) as client:
        with pytest.raises(AddressRefusedError, match=r"mixed\.example leads to"):
            await connects(client, f"http://mixed.example:{server.port}/")
    assert server.connections == 0


async def test_an_answer_that_changes_after_the_check_changes_nothing():
    # The name leads to an open address first and to a closed one ever after. Both listen on the same port.
    async with raw_server("127.0.0.1") as opened, raw_server("127.0.0.2", opened.port) as closed:
        opened.answers["/"] = response(b"opened")
        names = Names(rebound_example=[["127.0.0.1"], ["127.0.0.2"]])
        async with client_with(names, allow=["127.0.0.1/32"]) as client:
            assert await connects(client, f"http://rebound.example:{opened.port}/") == 200
            assert names.asked["rebound.example"] == 1  # asked once: checked and connected to are the same answer
            assert (opened.connections, closed.connections) == (1, 0)
            client._sessions[False].connector.clear_dns_cache()
            with pytest.raises(AddressRefusedError):
                await connects(client, f"http://rebound.example:{opened.port}/")
        assert closed.connections == 0


async def test_a_name_is_judged_before_it_is_handed_to_a_proxy(server):
    async with proxy_to(server) as proxy:
        names = Names(good_example=[["8.8.8.8"]], bad_example=[["8.8.8.8", "10.0.0.1"]])
        async with client_with(names, proxy=proxy.url) as client:
            assert await connects(client, "http://good.example/") == 200
            assert [request.target for request in proxy.received] == ["http://good.example/"]
            with pytest.raises(AddressRefusedError, match=r"bad\.example leads to 10\.0\.0\.1"):
                await connects(client, "http://bad.example/")
            with pytest.raises(AddressRefusedError):
                await connects(client, "http://10.0.0.1/")
            assert len(proxy.received) == 1


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_proxy_that_a_request_brings_is_guarded_itself(server, trusted: bool):
    async with proxy_to(server) as proxy, client_with(Names(good_example=[["8.8.8.8"]])) as client:
        with pytest.raises(AddressRefusedError):
            async with client.request("GET", "http://good.example/", trusted=trusted, proxy=proxy.url):
                pass
        assert proxy.received == []


async def test_the_connector_asks_the_kernel_for_checked_addresses_only():
    guard = Guard()
    connector = guard.connector(GuardedResolver(guard, Names()), keepalive=1)
    assert connector._socket_factory is not None
    info = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    for address in ("127.0.0.1", "localhost", "127.1"):
        with pytest.raises(AddressRefusedError):
            connector._socket_factory((*info, (address, 80)))
    await connector.close()


async def test_the_system_knows_localhost():
    resolver = SystemResolver()
    found = await resolver.resolve("localhost", 80)
    assert {ip_address(result["host"]).is_loopback for result in found} == {True}
    assert {result["port"] for result in found} == {80}
    for host in ("a" * 64 + ".example", "no..name", "nowhere.invalid"):
        with pytest.raises(OSError):
            await resolver.resolve(host, 80)
    await resolver.close()
