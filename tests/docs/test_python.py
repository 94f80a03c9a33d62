"""Every example in Python is run as it stands there, in a folder with a picture."""

import ast
import inspect
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.docs import pages
from tests.media.samples import picture
from tests.servers.openai_files import KEY, OpenAIFilesService, openai_files

# `python` are signatures, and `py` what can be run.
examples = pages.all_blocks("py")


@pytest.fixture
async def files() -> AsyncIterator[OpenAIFilesService]:
    async with openai_files() as service:
        yield service


@pytest.mark.parametrize("block", examples, ids=str)
async def test_an_example_works(
    block: pages.Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: OpenAIFilesService
):
    (tmp_path / "cat.png").write_bytes(picture())
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.4\n%%EOF\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mediary.toml").write_text(
        f'[providers.Example]\nwire = "openai"\nbase_url = "{files.base_url}"\napi_key = "{KEY}"\n'
        'uploads = "openai_files"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDIARY_DISCOVER", "false")
    code = compile(block.code, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, {})
    if inspect.iscoroutine(running):
        await running


def test_there_are_examples():
    assert {block.page.parent.name for block in examples} >= {"how-to", "reference"}
