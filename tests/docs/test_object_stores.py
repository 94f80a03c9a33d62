"""The commands and settings of `object-stores.md`, with real object stores in the place of the examples."""

import re
import shlex
from pathlib import Path

from tests.docs import pages
from tests.servers import azurite, swift
from tests.servers.mediary import MediaryServer, media_urls

PAGE = pages.blocks(pages.ROOT / "docs" / "how-to" / "object-stores.md")
EXAMPLES = [block.code for block in PAGE if block.language == "toml"]
SETTINGS = {re.findall(r'store = "(\w+):', code)[0]: code for code in EXAMPLES if "redirect" not in code}
LINKS = next(code for code in EXAMPLES if "redirect" in code)
SERVE, READY = (block.code.strip() for block in PAGE if block.is_shell)


def serve(folder: Path, settings: str, **env: str) -> MediaryServer:
    """Mediary as the page starts it, with other secrets."""
    *assignments, mediary, command = shlex.split(SERVE)
    assert (mediary, command) == ("mediary", "serve")
    known = {assignment.partition("=")[0] for assignment in assignments}
    assert set(env) <= known
    return MediaryServer(folder, settings=settings, env=env)


def check(server: MediaryServer) -> None:
    """The page's question whether all is reached, and a sound that is kept there."""
    assert server.get(READY.rpartition("localhost:8080")[2])
    (url,) = media_urls(server.converse("Hello", provider="Local", model="speech"))
    assert len(server.get(url)) > 1000


def test_s3(tmp_path: Path):
    bucket = swift.server().new_bucket()
    settings = SETTINGS["s3"].replace("s3://my-bucket/mediary", bucket.url)
    settings = settings.replace("https://s3.example.com", bucket.options["endpoint"])
    with serve(tmp_path / "data", settings, STORE_KEY_ID=swift.ACCESS_KEY, STORE_SECRET=swift.SECRET) as server:
        check(server)
    assert len(bucket.list_keys()) == 1


def test_azure(tmp_path: Path):
    bucket = azurite.new_bucket()
    settings = SETTINGS["az"].replace("az://my-container/mediary", bucket.url).replace("myaccount", azurite.ACCOUNT)
    settings += f'endpoint = "{bucket.options["endpoint"]}"\n'
    with serve(tmp_path / "data", settings, STORE_SECRET=azurite.KEY) as server:
        check(server)
    assert len(bucket.list_keys()) == 1


def test_a_folder(tmp_path: Path):
    settings = SETTINGS["file"].replace("/srv/mediary", str(tmp_path / "objects"))
    with serve(tmp_path / "data", settings) as server:
        check(server)
    assert [path for path in (tmp_path / "objects").rglob("*") if path.is_file()]


def test_links(tmp_path: Path):
    bucket = swift.server().new_bucket()
    options = "\n".join(f'{name} = "{value}"' for name, value in bucket.options.items())
    settings = f"{LINKS.replace('s3://my-bucket/mediary', bucket.url)}\n[media.store_options]\n{options}\n"
    with serve(tmp_path / "data", settings) as server:
        (url,) = media_urls(server.converse("Hello", provider="Local", model="speech"))
        with server.open(url) as answer:
            assert answer.status == 302
            assert answer.headers["location"].startswith(bucket.options["endpoint"])
