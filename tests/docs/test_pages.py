"""The documentation is true: what is made from the code is current, links lead somewhere, settings are settings."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.docs import pages

from mediary.settings import load_settings, setting_names


def test_pages_made_from_the_code_are_current():
    made = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=pages.ROOT, capture_output=True, text=True, timeout=60
    )
    assert made.returncode == 0, f"{made.stdout}{made.stderr}run `make docs`"


def test_every_setting_is_described():
    text = (pages.ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    sections = {part.split("`")[0]: part for part in text.split("## `[")}
    sections[""] = text.split("## `[")[0]
    for setting in setting_names():
        table, _, key = setting.rpartition(".")
        section = sections[f"{table}]" if table else ""]
        assert f"| `{key}` |" in section, setting


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_links_lead_to_files(page: Path):
    assert [str(target) for target in pages.links(page) if not target.exists()] == []


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), {pages.ROOT / "README.md"}
    while waiting:
        reached |= waiting
        waiting = {link for page in waiting for link in pages.links(page) if link.suffix == ".md"} - reached
    assert [str(page) for page in pages.PAGES if page not in reached and page.name != "CHANGELOG.md"] == []


@pytest.mark.parametrize("block", pages.all_blocks("toml"), ids=str)
def test_settings_on_a_page_are_taken(block: pages.Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for word in block.code.replace('"', " ").split():
        if word.startswith("env:"):
            monkeypatch.setenv(word.removeprefix("env:"), "sqlite:///example.db" if "DATABASE" in word else "a key")
    (tmp_path / "mediary.toml").write_text(block.code, encoding="utf-8")
    settings = load_settings(data=tmp_path).model_dump()
    for table, keys in tomllib.loads(block.code).items():
        assert settings[table] == keys or set(keys) <= set(settings[table])
