"""The nginx settings of the documentation, with a real nginx in front of a real server."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs import pages
from tests.servers.mediary import MediaryServer, clean_environment, media_urls

KEY = "a key of the house"
HOST = {"host": "media.example.com", "authorization": f"Bearer {KEY}"}


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[MediaryServer]:
    """Mediary with the key of the page, asked through nginx as the page sets it up."""
    nginx = shutil.which("nginx", path=f"{clean_environment()['PATH']}:/usr/sbin")
    if not nginx:
        pytest.skip("needs nginx")
    page = pages.blocks(pages.ROOT / "docs" / "how-to" / "proxy.md")
    settings = next(block.code for block in page if block.language == "toml")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with MediaryServer(tmp_path / "data", settings=settings, env={"HOUSE_KEY": KEY}) as server:
        block = next(block.code for block in page if block.language == "nginx")
        block = block.replace("listen 80;", f"listen 127.0.0.1:{port};").replace("http://127.0.0.1:8080", server.url)
        # Temporary files of nginx stay in the test's folder; the rest is nginx's default.
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
        config = tmp_path / "nginx.conf"
        config.write_text(
            f"pid {tmp_path}/pid;\ndaemon off;\nevents {{}}\nhttp {{\naccess_log off;\n{folders}{block}}}\n"
        )
        with subprocess.Popen([nginx, "-e", "stderr", "-c", str(config)]) as process:
            _wait_for(port, process)
            server.url = f"http://127.0.0.1:{port}"
            yield server
            process.terminate()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until somebody listens."""
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            continue
        return
    raise AssertionError("nginx ended")


def test_a_turn_and_its_media_pass(proxied: MediaryServer):
    events = proxied.converse("Hello", headers=HOST, provider="Local", model="speech")
    assert events[-1]["type"] == "finish"
    (url,) = media_urls(events)
    assert len(proxied.get(url, headers=HOST)) > 1000


def test_without_the_key_nothing_passes(proxied: MediaryServer):
    with proxied.open("/backend-api/v2/models", headers={"host": "media.example.com"}) as answer:
        assert answer.status == 401
