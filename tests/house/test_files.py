"""What must not be in any file of the project."""

import re
from pathlib import Path

from tests.house import source

# Put together so that this file does not name them.
REGISTRIES = tuple(
    ".".join(parts) for parts in [("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com")]
)
MACHINE_PATHS = re.compile(r"(?<![\w.$}])/" + r"(?:root|work|Users|home/\w+)/")
LOCKED = {"uv.lock", "package-lock.json"}

PICTURES_AND_SOUNDS = {".png", ".jpg", ".webp", ".ico", ".mp3", ".wav", ".ogg"}


def texts() -> list[Path]:
    """The files that people wrote."""
    return [path for path in source.project_files() if path.suffix not in PICTURES_AND_SOUNDS]


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_no_path_of_a_machine():
    assert not {str(path): found for path in texts() if (found := MACHINE_PATHS.findall(read(path)))}


def test_no_host_of_a_registry():
    files = [path for path in texts() if path.name not in LOCKED]
    assert not {str(path): host for path in files for host in REGISTRIES if host in read(path)}


def test_the_files_are_seen():
    assert source.ROOT / "pyproject.toml" in texts()
    assert len(texts()) > 20
