"""How an engine is set up."""

from pathlib import Path

import pytest

from mediary.errors import SettingsError
from mediary.services import Services
from mediary.settings import WebSearchSettings, load_settings


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("BRAVE_API_KEY", "TAVILY_API_KEY"):
        monkeypatch.delenv(variable, raising=False)


def load(folder: Path, toml: str = "") -> WebSearchSettings:
    (folder / "mediary.toml").write_text(toml)
    return load_settings(data=folder).websearch


def test_without_any_there_is_none(tmp_path: Path):
    assert load(tmp_path).engine is None


@pytest.mark.parametrize(("variable", "engine"), [("BRAVE_API_KEY", "brave"), ("TAVILY_API_KEY", "tavily")])
def test_a_key_in_the_environment_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, engine: str
):
    monkeypatch.setenv(variable, " a key ")
    table = load(tmp_path, "[websearch]\nresults = 3\n")

    assert (table.engine, table.results) == (engine, 3)
    assert table.api_key and table.api_key.get_secret_value() == "a key"


def test_what_the_file_says_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BRAVE_API_KEY", "of the environment")
    monkeypatch.setenv("TAVILY_API_KEY", "")

    assert load(tmp_path, '[websearch]\nengine = "tavily"\napi_key = "mine"\n').engine == "tavily"
    mine = load(tmp_path, '[websearch]\nengine = "brave"\napi_key = "mine"\n')
    assert mine.api_key and mine.api_key.get_secret_value() == "mine"
    searxng = load(tmp_path, '[websearch]\nengine = "searxng"\nurl = "http://127.0.0.1:8888"\n')
    assert (searxng.engine, searxng.api_key) == ("searxng", None)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('engine = "searxng"', "websearch.url"),
        ('engine = "brave"', "env:BRAVE_API_KEY"),
        ('engine = "serxng"', "did you mean 'searxng'"),
    ],
)
async def test_a_server_does_not_start_with_an_engine_that_cannot_search(tmp_path: Path, toml: str, words: str):
    (tmp_path / "mediary.toml").write_text(f"[websearch]\n{toml}\n")
    settings = load_settings(data=tmp_path)

    with pytest.raises(SettingsError, match=words):
        Services(settings)


@pytest.mark.parametrize("toml", ['language = "German"', "results = 0", "results = 21", "seconds = 0", 'url = "x"'])
def test_what_makes_no_sense_is_refused(tmp_path: Path, toml: str):
    with pytest.raises(SettingsError, match="setting websearch"):
        load(tmp_path, f"[websearch]\n{toml}\n")
