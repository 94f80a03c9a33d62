"""The pages about uploads: their commands and settings on services that answer as the real ones do; keys of flows."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.docs import pages
from tests.docs.test_commands import Session
from tests.media.samples import picture
from tests.servers.upload_peers import GUARD, Place, all_peers

from mediary.net.client import HttpClient
from mediary.plugins import load, registered
from mediary.settings import NetSettings, Settings, UploadSettings, load_settings

HOW_TO = pages.ROOT / "docs" / "how-to"
COMMANDS = {name: HOW_TO / name for name in ("uploads.md", "upload-cli.md", "web-uploads.md")}
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"
FLOW_TABLE = re.compile(r"^\| flow \| keys \|\n\|---\|---\|\n((?:\|.*\|\n)+)", re.MULTILINE)


@pytest.fixture(scope="module")
async def peers() -> AsyncIterator[dict[str, Place]]:
    async with all_peers() as places:
        yield places


@pytest.mark.parametrize("page", COMMANDS.values(), ids=COMMANDS)
async def test_commands_of_a_page_work(page: Path, peers: dict[str, Place], tmp_path: Path):
    folder = tmp_path / "reader"
    folder.mkdir()
    tables = "".join(place.table for place in peers.values())
    tables = tables.replace('wire = "gemini"\n', 'wire = "gemini"\nmodels = ["gemini"]\n')
    (folder / "mediary.toml").write_text(GUARD + tables)
    (folder / "report.pdf").write_bytes(PDF)
    (folder / "harbour.png").write_bytes(picture(".png"))
    session = Session(folder)
    try:
        for block in pages.blocks(page):
            if block.is_shell:
                await asyncio.to_thread(session.run, block.code)
    finally:
        await asyncio.to_thread(session.close)


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient(NetSettings())
    yield client
    await client.close()


def set_variables(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in re.findall(r'"env:(\w+)"', text):
        monkeypatch.setenv(variable, "a-key-0123456789")


def flows_of(settings: Settings) -> dict[str, UploadSettings]:
    """The tables of flows in settings."""
    tables = dict(settings.uploads)
    for name, provider in settings.providers.items():
        if provider.uploads:
            own: dict[str, Any] = provider.uploads.model_dump(exclude_unset=True)
            tables[name] = UploadSettings(base_url=provider.base_url, api_key=provider.api_key, **own)
    return tables


@pytest.mark.parametrize("page", COMMANDS.values(), ids=COMMANDS)
async def test_flows_take_the_settings_on_a_page(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, http: HttpClient
):
    for block in pages.blocks(page):
        if block.language == "toml":
            set_variables(block.code, monkeypatch)
            (tmp_path / "mediary.toml").write_text(block.code, encoding="utf-8")
            for name, table in flows_of(load_settings(data=tmp_path)).items():
                assert load("uploads", table.flow)(name, table, http).flow == table.flow


def test_a_page_names_the_keys_that_each_flow_has():
    said: dict[str, list[str]] = {}
    for page in COMMANDS.values():
        for rows in FLOW_TABLE.findall(page.read_text(encoding="utf-8")):
            for row in rows.splitlines():
                flow, *keys = re.findall(r"`(\w+)`", row)
                said[flow] = keys
    assert said == {flow: list(load("uploads", flow).options_type.model_fields) for flow in registered("uploads")}


def test_the_reference_has_the_keys_of_each_flow():
    text = (pages.ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    for flow in registered("uploads"):
        for key in load("uploads", flow).options_type.model_fields:
            assert f"| `{key}` |" in sections[flow]
