"""How the source must look, where ruff and mypy have no word for it."""

import ast

import pytest
from tests.house import source

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

# Where whatever happens must become an answer, once each: the request handler, before its body has begun and within a
# stream, and the child process.
EDGES = {"mediary.server.app", "mediary.server.sse", "mediary.sandbox.child"}


def test_a_file_is_short():
    lines = {source.name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in source.modules()}
    assert not {name: count for name, count in lines.items() if count >= MAX_FILE_LINES}


def test_a_function_is_short():
    assert not {
        f"{source.name(path)}.{node.name}": lines
        for path in source.modules()
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) >= MAX_FUNCTION_LINES
    }


def is_broad(caught: ast.expr | None) -> bool:
    """Whether an `except` clause, or an argument of `suppress`, stands for every error."""
    if isinstance(caught, ast.Tuple):
        return any(is_broad(one) for one in caught.elts)
    return caught is None or (isinstance(caught, ast.Name) and caught.id in ("Exception", "BaseException"))


def broad_catches(tree: ast.Module) -> list[int]:
    """The lines that catch every error."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.ExceptHandler) and is_broad(node.type))
        or (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("suppress")
            and any(is_broad(argument) for argument in node.args)
        )
    ]


def test_errors_are_caught_by_name():
    caught = {source.name(path): lines for path in source.modules() if (lines := broad_catches(source.tree(path)))}
    assert not {name: lines for name, lines in caught.items() if name not in EDGES or len(lines) > 1}


@pytest.mark.parametrize(
    "code",
    [
        "try: f()\nexcept: pass",
        "try: f()\nexcept Exception: pass",
        "try: f()\nexcept (OSError, BaseException): pass",
        "with suppress(Exception): f()",
        "with contextlib.suppress(OSError, Exception): f()",
    ],
)
def test_a_broad_catch_is_seen(code: str):
    assert broad_catches(ast.parse(code))


def test_nothing_is_left_for_later():
    words = ("TODO", "FIXME", "XXX", "NotImplementedError")
    assert not {
        source.name(path): word
        for path in source.modules()
        for word in words
        if word in path.read_text(encoding="utf-8")
    }


def test_only_settings_reads_the_environment():
    assert not {
        source.name(path): node.lineno
        for path in source.modules()
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.Attribute | ast.Name)
        and ast.unparse(node) in ("os.environ", "os.getenv", "environ", "getenv")
        and not source.name(path).startswith("mediary.settings.")
    }


def test_what_writes_to_the_database_is_done_to_its_end():
    """A transaction that is cancelled within a statement can leave SQLite locked."""
    assert not {
        source.name(path): function.name
        for path in source.modules()
        if source.name(path) != "mediary.database.engine"
        for function in ast.walk(source.tree(path))
        if isinstance(function, ast.AsyncFunctionDef)
        and any(
            isinstance(node, ast.AsyncWith) and ast.unparse(node.items[0].context_expr).endswith("_database.begin()")
            for node in ast.walk(function)
        )
        and "uninterrupted" not in map(ast.unparse, function.decorator_list)
    }
