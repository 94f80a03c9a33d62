"""Servers for the contract: one with providers of every manner, one with a key."""

from collections.abc import Iterator

import pytest
from tests.servers.contract_peers import Peers, contract_peers
from tests.servers.mediary import MediaryServer


@pytest.fixture(scope="package")
def peers() -> Iterator[Peers]:
    with contract_peers() as running:
        yield running


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory, peers: Peers) -> Iterator[MediaryServer]:
    with MediaryServer(tmp_path_factory.mktemp("contract") / "data", settings=peers.settings) as running:
        yield running
        assert "Traceback" not in running.output()


@pytest.fixture(scope="package")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    settings = '[server]\nkey = "hunter2-hunter2"\nmax_request_bytes = 2000\n'
    with MediaryServer(tmp_path_factory.mktemp("locked") / "data", settings=settings) as running:
        yield running
