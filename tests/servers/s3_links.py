"""Presigned links into a bucket of a real S3 server, made by boto3; asked for over HTTP by peers in other languages."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch
from urllib.request import ProxyHandler, Request, build_opener

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.servers import swift

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

_open = build_opener(ProxyHandler({})).open
_clock = threading.Lock()


class Links:
    """Makes links; `url` is where other processes ask for them, `endpoint` the storage that they lead to."""

    def __init__(self) -> None:
        self.bucket = swift.server().new_bucket()
        self.storage = self.bucket.options["endpoint"]
        self.endpoint = self.storage
        self.url = ""

    def put(self, key: str, media_type: str, *, expired: bool = False) -> str:
        """A link that takes bytes of this type."""
        return self._sign("put_object", {"Key": key, "ContentType": media_type}, 600, expired=expired)

    def get(self, key: str, seconds: int) -> str:
        """A link to read what lies there."""
        return self._sign("get_object", {"Key": key}, seconds)

    def head(self, key: str) -> dict[str, Any] | None:
        """The type and size of what lies there, None if nothing does."""
        try:
            found = self._client(self.storage).head_object(Bucket=self.bucket.name, Key=key)
        except ClientError:
            return None
        return {"type": found["ContentType"], "size": found["ContentLength"]}

    def read(self, key: str) -> bytes:
        """What lies there."""
        body: bytes = self._client(self.storage).get_object(Bucket=self.bucket.name, Key=key)["Body"].read()
        return body

    def _sign(self, operation: str, fields: dict[str, str], seconds: int, *, expired: bool = False) -> str:
        with _clock, patch("botocore.auth.get_current_datetime", lambda: LONG_AGO if expired else datetime.now(UTC)):
            url: str = self._client(self.endpoint).generate_presigned_url(
                operation, Params={"Bucket": self.bucket.name, **fields}, ExpiresIn=seconds
            )
            return url

    def _client(self, endpoint: str) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=swift.ACCESS_KEY,
            aws_secret_access_key=swift.SECRET,
            region_name="us-east-1",
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, proxies={}),
        )


@contextmanager
def running_links() -> Iterator[Links]:
    """Links into an empty bucket."""
    links = Links()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = getattr(links, self.path.strip("/"))(**asked)
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    links.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield links
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(url: str, method: str = "GET") -> Any:
    """What a peer on this machine answers, out of JSON."""
    with _open(Request(url, method=method), timeout=10) as answer:
        return json.load(answer)
