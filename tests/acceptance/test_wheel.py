"""The wheel, built and installed alone, outside the clone: it serves."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers.mediary import MediaryServer, clean_environment

ROOT = Path(__file__).parents[2]


def find_uv() -> str:
    """uv as the Makefile has it: from PATH, else from the environment."""
    found = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if not found:
        pytest.skip("needs uv: `make test` brings it")
    return found


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must succeed."""
    ran = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=clean_environment(), capture_output=True, text=True, timeout=240
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what its own metadata asks for, in the versions of the lock."""
    uv, folder = find_uv(), tmp_path_factory.mktemp("wheel")
    run(uv, "build", "--quiet", "--wheel", "--out-dir", folder, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    exported = ("export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-hashes")
    run(uv, *exported, "--output-file", folder / "versions.txt", cwd=ROOT)
    run(uv, "venv", "--quiet", "--python", sys.executable, folder / "env", cwd=folder)
    install = (
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        folder / "env",
        "--constraint",
        folder / "versions.txt",
        wheel,
    )
    run(*install, cwd=folder)
    return folder / "env" / "bin"


@pytest.mark.timeout(600)
def test_it_is_the_wheel_that_runs(installed: Path, tmp_path: Path):
    where = run(installed / "python", "-c", "import mediary; print(mediary.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
    listed = run(find_uv(), "pip", "list", "--python", installed.parent, cwd=tmp_path)
    assert "pytest" not in listed


@pytest.mark.timeout(600)
def test_the_wheel_serves(installed: Path, tmp_path: Path):
    command = [str(installed / "mediary"), "serve", "--port", "0"]
    with MediaryServer(tmp_path / "data", command=command) as server:
        assert server.get_json("/backend-api/v2/version")["version"]
        assert "Local" in server.get_json("/backend-api/v2/models")
        assert server.converse("Hello", provider="Local", model="passages")[-1]["type"] == "finish"
        assert b"<script" in server.get("/docs")
    assert (tmp_path / "data" / "generated_media").is_dir()
