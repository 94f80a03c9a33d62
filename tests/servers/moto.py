"""moto: an S3 server whose conditional writes and multipart uploads are right, and which checks no signature."""

import sys
from functools import cache
from pathlib import Path

from tests.servers.buckets import S3Bucket
from tests.servers.processes import Process, free_port


@cache
def server() -> Process:
    """The server, started once; it ends with the process."""
    port = free_port()
    program = Path(sys.executable).with_name("moto_server")
    return Process([str(program), "-H", "127.0.0.1", "-p", str(port)], port).start()


def new_bucket() -> S3Bucket:
    """An empty bucket."""
    return S3Bucket(f"http://127.0.0.1:{server().port}", "moto", "a secret of any kind")
