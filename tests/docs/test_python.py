"""Every example in Python is run as it stands there, in a folder with a picture."""

import ast
import inspect
from pathlib import Path

import pytest
from tests.docs import pages
from tests.media.samples import picture

# `python` are signatures, and `py` what can be run.
examples = pages.all_blocks("py")


@pytest.mark.parametrize("block", examples, ids=str)
async def test_an_example_works(block: pages.Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cat.png").write_bytes(picture())
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDIARY_DISCOVER", "false")
    code = compile(block.code, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, {})
    if inspect.iscoroutine(running):
        await running


def test_there_are_examples():
    assert {block.page.parent.name for block in examples} >= {"how-to", "reference"}
