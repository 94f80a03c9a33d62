"""Implementations are registered, load, and are imported by nobody."""

import tomllib

import pytest
from tests.house import source

from mediary import plugins

REGISTERED: dict[str, dict[str, str]] = {
    group.removeprefix("mediary."): points
    for group, points in tomllib.loads((source.ROOT / "pyproject.toml").read_text())["project"]["entry-points"].items()
}

# What stands beside the implementations of a kind: what one is, and what several of them share.
SHARED = {
    *("__init__", "base"),
    *("fetch", "file_cache", "files", "overlay", "spool"),  # stores
    "http",  # providers
    *("contents", "delivery", "expiry", "files", "flow"),  # uploads
    *("react_flight", "records", "room", "senders", "transport"),
    *("archive", "call", "charset", "markdown", "ocr", "recognition", "registry", "web"),  # extractors
    *("cleaning", "pages"),  # web search
}


def implementations(kind: str) -> set[str]:
    """The names of a kind's implementations: every other module or package in its room."""
    room = source.PACKAGE / kind
    found = {path.stem for path in room.glob("*.py")} | {path.parent.name for path in room.glob("*/__init__.py")}
    return found - SHARED


def is_somebody_elses(imported: str, importer: str) -> bool:
    """Whether a module imports from an implementation that it is no part of."""
    parts = imported.split(".")
    if len(parts) < 3 or parts[1] not in source.KINDS:
        return False
    kind, module = parts[1], parts[2]
    own = importer.split(".")[2:3] if importer.startswith(f"mediary.{kind}.") else []
    return module in implementations(kind) and own != [module]


def test_nobody_imports_an_implementation():
    assert not {
        source.name(path): name
        for path in source.modules()
        for name in source.imports(path)
        if is_somebody_elses(name, source.name(path))
    }


@pytest.mark.parametrize(
    ("imported", "importer"),
    [
        ("mediary.providers.openai", "mediary.services"),
        ("mediary.providers.openai.OpenAI", "mediary.providers.local"),
        ("mediary.providers.openai.chat", "mediary.providers.local"),
        ("mediary.providers.openai.chat", "mediary.conversations.turn"),
        ("mediary.storage.local", "mediary.media.library"),
    ],
)
def test_such_an_import_is_seen(imported: str, importer: str):
    assert is_somebody_elses(imported, importer)


@pytest.mark.parametrize(
    ("imported", "importer"),
    [
        ("mediary.providers.base", "mediary.conversations.turn"),
        ("mediary.providers.openai.chat", "mediary.providers.openai.provider"),
        ("mediary.providers.http.service", "mediary.providers.openai.provider"),
        ("mediary.settings", "mediary.services"),
    ],
)
def test_what_is_allowed_passes(imported: str, importer: str):
    assert not is_somebody_elses(imported, importer)


@pytest.mark.parametrize("kind", [kind for kind in source.KINDS if (source.PACKAGE / kind / "base.py").exists()])
def test_each_implementation_is_registered(kind: str):
    points = REGISTERED.get(kind, {}).values()
    assert {point.split(":")[0].split(".")[2] for point in points} == implementations(kind)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, points in REGISTERED.items() for name in points])
def test_each_registered_implementation_loads(kind: str, name: str):
    loaded = plugins.load(kind, name)
    module, _, attribute = REGISTERED[kind][name].partition(":")
    assert (loaded.__module__, loaded.__qualname__) == (module, attribute)
    assert loaded.__doc__
