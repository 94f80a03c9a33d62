"""Programs from npm, as the lock file pins them."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_MODULES = HERE / "node_modules"


def program(path: str) -> Path:
    """A program below `node_modules`, installed if it is not there; without Node.js the test is skipped."""
    if not shutil.which("node"):
        pytest.skip(f"{path} needs Node.js: there is no node on this machine")
    if not (_MODULES / path).exists():
        if not shutil.which("npm"):
            pytest.skip(f"{path} needs Node.js: there is no npm on this machine")
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=HERE, check=True, timeout=300)
    return _MODULES / path
