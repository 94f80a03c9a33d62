"""Azurite: Microsoft's own emulator of Azure Blob Storage, which checks signatures."""

import atexit
import base64
import hashlib
import hmac
import shutil
from datetime import UTC, datetime
from functools import cache
from secrets import token_hex
from tempfile import mkdtemp
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener
from xml.etree import ElementTree as ET

from tests.servers.buckets import Bucket
from tests.servers.node import program
from tests.servers.processes import Process, free_port

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Published, the same for every emulator."""

_open = build_opener(ProxyHandler({})).open


@cache
def server() -> Process:
    """The server, started once; it ends with the process."""
    port = free_port()
    main = program("azurite/dist/src/blob/main.js")
    folder = mkdtemp(prefix="mediary-azurite-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", folder]
    options += ["--disableTelemetry", "--skipApiVersionCheck", "--silent"]
    return Process(["node", str(main), *options], port).start()


def new_bucket() -> "AzureContainer":
    """An empty container."""
    return AzureContainer(f"http://127.0.0.1:{server().port}/{ACCOUNT}")


class AzureContainer(Bucket):
    """A container."""

    def __init__(self, endpoint: str) -> None:
        self.name = f"container-{token_hex(8)}"
        self.url = f"az://{self.name}/{self.prefix}"
        self.options = {"account_name": ACCOUNT, "account_key": KEY, "endpoint": endpoint}
        self._endpoint = endpoint
        self._ask("PUT", "", restype="container")

    def list_keys(self) -> list[str]:
        return [name for name, _ in self._list()]

    def unfinished(self) -> list[str]:
        whole = self.list_keys()
        return [name for name, _ in self._list(include="uncommittedblobs") if name not in whole]

    def media_type(self, key: str) -> str:
        return dict(self._list())[key]

    def _list(self, **query: str) -> list[tuple[str, str]]:
        answer = ET.fromstring(self._ask("GET", "", restype="container", comp="list", **query))
        return [
            (blob.findtext("Name", ""), blob.findtext("Properties/Content-Type", "")) for blob in answer.iter("Blob")
        ]

    def _ask(self, method: str, path: str, **query: str) -> bytes:
        """A request signed with the account's key, as Azure documents it."""
        headers = {"x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"), "x-ms-version": "2021-12-02"}
        resource = f"/{ACCOUNT}/{ACCOUNT}/{self.name}{quote(path)}"
        lines = [method, *[""] * 11, *(f"{name}:{headers[name]}" for name in sorted(headers)), resource]
        lines += [f"{name}:{query[name]}" for name in sorted(query)]
        signature = hmac.digest(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256)
        headers["authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}"
        url = f"{self._endpoint}/{self.name}{quote(path)}?{urlencode(query)}"
        with _open(Request(url, method=method, headers=headers), timeout=30) as answer:
            body: bytes = answer.read()
            return body
