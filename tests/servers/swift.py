"""OpenStack Swift as an S3 server that checks signatures: four processes on a folder, from PyPI."""

import atexit
import getpass
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from tests.servers.buckets import S3Bucket
from tests.servers.processes import Process, free_port

ACCESS_KEY, SECRET = "test:tester", "testing"

_COMMON = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
workers = 0
fallocate_reserve = 0
disable_fallocate = true
log_level = ERROR
"""

_STORAGE = (
    _COMMON
    + """
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
"""
)

_PROXY = (
    _COMMON
    + """
[pipeline:main]
pipeline = catch_errors gatekeeper bulk s3api tempauth slo proxy-server

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper

[filter:bulk]
use = egg:swift#bulk

[filter:s3api]
use = egg:swift#s3api
location = us-east-1

[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin

[filter:slo]
use = egg:swift#slo

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""
)

_SECRETS = """
[swift-hash]
swift_hash_path_suffix = tests

[storage-policy:0]
name = one
default = yes
"""


class Swift:
    """A Swift in a folder that goes with it; `proxy` is what answers S3, and can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _require_attributes(folder)
        (folder / "swift.conf").write_text(_SECRETS)
        self._behind = [self._storage(kind) for kind in ("account", "container", "object")]
        self.proxy = self._process("proxy", _PROXY, free_port())

    def new_bucket(self) -> S3Bucket:
        """An empty bucket."""
        return S3Bucket(f"http://127.0.0.1:{self.proxy.port}", ACCESS_KEY, SECRET)

    def _storage(self, kind: str) -> Process:
        port = free_port()
        (self._folder / "devices" / "disk").mkdir(parents=True, exist_ok=True)
        # In a process of its own: to import Swift is to import eventlet, which warns of each fork from then on.
        builder = [str(_program("swift-ring-builder")), f"{kind}.builder"]
        for step in ("create 4 1 0", f"add r1z1-127.0.0.1:{port}/disk 1", "rebalance"):
            subprocess.run([*builder, *step.split()], cwd=self._folder, check=True, capture_output=True)
        return self._process(kind, _STORAGE, port)

    def _process(self, kind: str, config: str, port: int) -> Process:
        path = self._folder / f"{kind}.conf"
        path.write_text(config.format(kind=kind, port=port, user=getpass.getuser(), folder=self._folder))
        return Process([str(_program(f"swift-{kind}-server")), str(path)], port, cwd=self._folder).start()


def _program(name: str) -> Path:
    """A command of Swift's, which lies beside this Python."""
    return Path(sys.executable).with_name(name)


@cache
def server() -> Swift:
    """The server, started once; it ends with the process."""
    return Swift(Path(mkdtemp(prefix="mediary-swift-")))


def _require_attributes(folder: Path) -> None:
    try:
        os.setxattr(folder, "user.mediary", b"1")
    except OSError:
        pytest.skip("Swift needs a folder for temporary files whose file system has extended attributes")
