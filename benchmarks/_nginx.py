"""nginx with one worker, as the yardstick for files."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {work}/nginx.pid;
error_log {work}/error.log;
{user}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    types {{ image/png png; video/mp4 mp4; }}
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location /media/ {{
            alias {folder}/;
            add_header Cache-Control "public, max-age=31536000, immutable";
            add_header X-Content-Type-Options nosniff;
        }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """The URL of an nginx that serves a folder below `/media/`."""
    program = shutil.which("nginx")
    if program is None:
        sys.exit("this benchmark needs nginx (Debian: nginx-light)")
    with TemporaryDirectory(prefix="nginx-") as work, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        user = "user root;" if os.geteuid() == 0 else ""  # a temporary folder is its owner's alone
        text = _CONFIGURATION.format(work=work, folder=folder, port=port, user=user)
        (Path(work) / "nginx.conf").write_text(text)
        process = subprocess.Popen([program, "-e", f"{work}/error.log", "-p", work, "-c", f"{work}/nginx.conf"])
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    sys.exit("nginx did not start")
