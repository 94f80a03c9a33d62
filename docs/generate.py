"""Writes the reference pages that are made from the code; `--check` only says which are not current."""

import ast
import sys
from collections.abc import Callable, Iterator
from inspect import Parameter, getdoc, signature
from pathlib import Path
from textwrap import indent
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined
from typer import Typer
from typer.models import ArgumentInfo, ParameterInfo

from mediary.cli.main import app
from mediary.plugins import load, registered
from mediary.settings import PREFIX, Section, Settings, UploadPolicy

Function = ast.FunctionDef | ast.AsyncFunctionDef
WIDTH = 110

REFERENCE = Path(__file__).parent / "reference"
SOURCE = Path(__file__).parents[1] / "src" / "mediary"
NOTE = "<!-- Made by docs/generate.py: change the code, then `make docs`. -->\n\n"

# What a program that imports Mediary may rely on, in the order of the page.
PUBLIC = (
    "__init__.py",
    "media/directories.py",
    "media/library.py",
    "media/item.py",
    "media/export.py",
    "media/intake.py",
    "media/responses.py",
    "buckets/library.py",
    "buckets/document.py",
    "buckets/summary.py",
    "buckets/intake/taken.py",
    "passages/passage.py",
    "uploads/room.py",
    "uploads/records/entry.py",
    "uploads/base.py",
    "uploads/flow.py",
    "names.py",
    "formats.py",
    "plugins.py",
    "providers/base.py",
    "storage/base.py",
    "extractors/base.py",
    "errors.py",
)


def settings_page() -> str:
    """Every setting, from the models of `settings`."""
    return "".join(["# Settings\n\n", NOTE, SETTINGS_INTRODUCTION, *_tables(Settings, ""), *_flows()])


SETTINGS_INTRODUCTION = f"""A setting is taken from the first that has it: the command line, the variables of the
environment, the file `mediary.toml` in the data folder (or the one that `--config` names), the defaults. An unknown key
or variable stops the start; the message names the nearest right one.

A variable is `{PREFIX}`, the table and the key, in capitals: `{PREFIX}SERVER_PORT=8081`. A list is written as JSON, and
so are all providers together in `{PREFIX}PROVIDERS`, and all places to upload to in `{PREFIX}UPLOADS`.

A secret is the value itself, `env:NAME` for the variable NAME, or `file:PATH` for the content of a file.
"""


def _tables(section: type[BaseModel], table: str) -> Iterator[str]:
    """The table of a section, then those of the sections in it."""
    inner = {name: found for name, field in section.model_fields.items() if (found := _section(field.annotation))}
    field_of = {name: field.annotation for name, field in section.model_fields.items()}
    heading = f"`[{table}]`" if table else "At the top"
    with_variables = ".NAME" not in table
    yield f"\n## {heading}\n\n"
    if table:
        yield f"{section.__doc__}\n\n"
    yield "| key |" + (" variable |" if with_variables else "") + " type | default | meaning |\n"
    yield "|---|" + ("---|" if with_variables else "") + "---|---|---|\n"
    for name, field in section.model_fields.items():
        if name in inner and not table:
            continue
        variable = f" `{PREFIX}{f'{table}_{name}'.strip('_').upper()}` |" if with_variables else ""
        default = "required" if field.default is PydanticUndefined else _default(field.default)
        yield f"| `{name}` |{variable} {_type(field.annotation)} | {default} | {field.description} |\n"
    for name, found in inner.items():
        yield from _tables(
            found, f"{table}.{name}".strip(".") + (".NAME" if get_origin(field_of[name]) is dict else "")
        )


def _flows() -> Iterator[str]:
    """The own keys of each upload flow, from its options."""
    yield FLOWS_INTRODUCTION
    for flow in sorted(registered("uploads")):
        kind = load("uploads", flow)
        about = (getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
        yield f"\n### `{flow}`\n\n{about}\n\n| key | type | default | meaning |\n|---|---|---|---|\n"
        for name, field in kind.options_type.model_fields.items():
            yield f"| `{name}` | {_type(field.annotation)} | {_default(field.default)} | {field.description} |\n"


FLOWS_INTRODUCTION = """
## The flows' own keys

They stand in `[uploads.NAME]` or `[providers.NAME.uploads]`, beside the keys above. What they are for:
[attach files to a question](../how-to/uploads.md), [upload to a web service](../how-to/web-uploads.md).
"""


def _section(annotation: Any) -> type[Section] | None:
    candidates = (annotation, *get_args(annotation))
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, Section)), None)


def _type(annotation: Any) -> str:
    """A type in plain words."""
    text = str(annotation)
    one = next((each for each in get_args(annotation) if each is not NoneType), annotation)
    if get_origin(annotation) in (Union, UnionType):
        annotation = one
    if isinstance(annotation, type) and annotation in PLAIN:
        return PLAIN[annotation]
    if isinstance(annotation, type) and issubclass(annotation, UploadPolicy):
        return "text, or table"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table of " + ", ".join(f"`{name}`" for name in annotation.model_fields)
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if "dict" in text:
        return "table of secrets" if SecretStr.__name__ in text else "table"
    if "tuple" in text:
        return "list of networks" if "Network" in text else "list of texts"
    return "secret" if SecretStr.__name__ in text else "text"


PLAIN = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}


def _default(value: Any) -> str:
    if value in (None, (), {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{each}"' for each in value) + "]`"
    if isinstance(value, int) and value and value % 1024**2 == 0:
        whole, unit = (value // 1024**3, "GiB") if value % 1024**3 == 0 else (value // 1024**2, "MiB")
        return f"`{value}` ({whole} {unit})"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def events_page() -> str:
    """Every event of a turn, from the classes of `events.py`."""
    tree = ast.parse((SOURCE / "events.py").read_text(encoding="utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    lines = ["# Events\n\n", NOTE, EVENTS_INTRODUCTION]
    for node in classes.values():
        tag = next((ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg == "tag"), None)
        if tag:
            lines.append(f"\n## `{tag}`\n\n{ast.get_docstring(node)}\n\n| field | type |\n|---|---|\n")
            lines += [f"| `{name}` | {_json_type(kind, classes)} |\n" for name, kind in _fields(node)]
    return "".join(lines)


EVENTS_INTRODUCTION = """What `POST /backend-api/v2/conversation` streams, in this form:

```text
event: content
data: {"type":"content","content":"Hello"}

```

A good turn begins with `provider` and ends with `finish`. A turn that failed ends with `error` or `auth`. A client
ignores types that it does not know.
"""


def _fields(node: ast.ClassDef) -> list[tuple[str, str]]:
    return [
        (item.target.id, ast.unparse(item.annotation))
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    ]


def _json_type(kind: str, classes: dict[str, ast.ClassDef]) -> str:
    """A field's type, the fields of a nested struct spelled out, `?` where it may be missing."""
    missing = " | UnsetType" in kind
    kind = kind.replace(" | UnsetType", "")
    inner = kind[5:-1] if kind.startswith("list[") else kind
    words = {"str": "text", "int": "whole number", "float": "number", "dict[str, Any]": "object", "Any": "anything"}
    if inner in classes:
        fields = ", ".join(f"`{name}`" for name, _ in _fields(classes[inner]))
        text = f"objects with {fields}" if inner != kind else f"object with {fields}"
    else:
        text = f"list of {words.get(inner, inner)}" if inner != kind else words.get(kind, kind)
    return text.replace(" | None", " or null").replace("|", "\\|") + (", may be missing" if missing else "")


def cli_page() -> str:
    """Every command and option, from the functions that Typer makes commands of."""
    introduction = "`mediary --help`, and `mediary COMMAND --help`, show the same.\n"
    return "".join(["# Command line\n\n", NOTE, introduction, *_commands(app, "mediary")])


def _commands(group: Typer, called: str) -> Iterator[str]:
    """The commands of a group, then those of the groups in it."""
    for info in group.registered_commands:
        assert info.callback
        parameters = _parameters(info.callback)
        arguments = [_value_name(name, kind) for name, kind, about in parameters if isinstance(about, ArgumentInfo)]
        heading = " ".join([called, info.name or info.callback.__name__, *arguments])
        yield f"\n## `{heading}`\n\n{getdoc(info.callback)}\n\n| option | default | meaning |\n|---|---|---|\n"
        for name, kind, about in parameters:
            yield _option(name, kind, about, signature(info.callback).parameters[name].default)
    for inner in group.registered_groups:
        assert inner.typer_instance
        yield from _commands(inner.typer_instance, f"{called} {inner.name}")


def _parameters(command: Callable[..., Any]) -> list[tuple[str, Any, ParameterInfo]]:
    """The parameters of a command: name, type, and what is said about it."""
    hints = get_type_hints(command, include_extras=True)
    return [(name, *get_args(hint)) for name, hint in hints.items() if hasattr(hint, "__metadata__")]


def _value_name(name: str, kind: Any) -> str:
    return f"{name.upper()}…" if "list" in str(kind) else name.upper()


def _option(name: str, kind: Any, about: ParameterInfo, value: Any) -> str:
    """A row of the table; a default stands in the help, where it comes from the settings."""
    meaning, _, default = (about.help or "").partition(" [default: ")
    default = default.rstrip("]") or ("" if value in (None, "", False, Parameter.empty) else str(value))
    shown = _value_name(name, kind)
    if not isinstance(about, ArgumentInfo):
        # within Annotated, Typer keeps the first name where a default would stand
        names = [*([about.default] if isinstance(about.default, str) else []), *(about.param_decls or [])]
        named = ", ".join(names) or "--" + name.replace("_", "-")
        shown = f"{named} {about.metavar or _placeholder(kind)}".strip()
    return f"| `{shown}` | {f'`{default}`' if default else ''} | {meaning.replace('|', BAR)} |\n"


BAR = "\\|"


def _placeholder(kind: Any) -> str:
    """What stands for the value of an option; nothing for one that has none."""
    if "Literal" in str(kind):
        choice = next((one for one in get_args(kind) if "Literal" in str(one)), kind)
        return BAR.join(get_args(choice))
    return "NUMBER" if "int" in str(kind) else "" if "bool" in str(kind) else "TEXT"


def python_page() -> str:
    """What a program may import: signatures and docstrings, read and not run."""
    lines = [
        "# Python\n\n",
        NOTE,
        "What a program may import. Names with a leading underscore are nobody's business.\n",
    ]
    for file in PUBLIC:
        tree = ast.parse((SOURCE / file).read_text(encoding="utf-8"))
        module = f"mediary.{file.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")
        lines.append(f"\n## `{module}`\n\n{ast.get_docstring(tree)}\n")
        for node in tree.body:
            if isinstance(node, ast.ClassDef | Function) and node.name[0] != "_":
                lines += _described(node)
    return "".join(lines)


def _described(node: ast.ClassDef | Function) -> Iterator[str]:
    """A class with its fields and public methods, or a function; each overload is the function once more."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    if "overload" not in decorators:
        code = _class(node) if isinstance(node, ast.ClassDef) else _signature(node)
        if "asynccontextmanager" in decorators:
            code = f"@asynccontextmanager\n{code}"
        yield f"\n```python\n{code}\n```\n\n{ast.get_docstring(node)}\n"
    if isinstance(node, ast.ClassDef):
        methods = [item for item in node.body if isinstance(item, Function) and item.name[0] != "_"]
        lines = [f"- `{item.name}`: {indent(ast.get_docstring(item) or '', '  ').strip()}\n" for item in methods]
        yield "".join(["\n", *lines]) if lines else ""


def _class(node: ast.ClassDef) -> str:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    lines = [f"{name}: {kind}" for name, kind in _fields(node) if name[0] != "_"]
    for item in node.body:
        if isinstance(item, Function) and (item.name[0] != "_" or item.name == "__init__"):
            is_property = "property" in [ast.unparse(decorator) for decorator in item.decorator_list]
            lines.append(f"{item.name}: {_annotation(item.returns)}" if is_property else _signature(item, "self"))
    body = "".join(f"\n    {line}" for text in lines for line in text.split("\n"))
    return f"class {node.name}({bases}):{body or ' ...'}" if bases else f"class {node.name}:{body or ' ...'}"


def _signature(node: Function, *left_out: str) -> str:
    """A function's head, a line for each parameter where one line does not hold them."""
    arguments = node.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    parts = [_parameter(*pair) for pair in zip(plain, defaults, strict=True) if pair[0].arg not in left_out]
    if arguments.vararg or arguments.kwonlyargs:
        parts.append(f"*{_parameter(arguments.vararg, None)}" if arguments.vararg else "*")
    parts += [_parameter(*pair) for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if arguments.kwarg:
        parts.append(f"**{_parameter(arguments.kwarg, None)}")
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    line = f"{kind} {node.name}({', '.join(parts)}) -> {_annotation(node.returns)}"
    if len(line) <= WIDTH:
        return line
    rows = "".join(f"    {part},\n" for part in parts)
    return f"{kind} {node.name}(\n{rows}) -> {_annotation(node.returns)}"


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    text = f"{argument.arg}: {_annotation(argument.annotation)}" if argument.annotation else argument.arg
    return f"{text} = {ast.unparse(default)}" if default else text


def _annotation(node: ast.expr | None) -> str:
    """A type, without the quotes of one that is written as text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return ast.unparse(node) if node else "None"


PAGES = {"settings.md": settings_page, "events.md": events_page, "cli.md": cli_page, "python.md": python_page}


def main() -> int:
    """Write, or with `--check` compare; the number of pages that are not current."""
    stale = []
    for name, make in PAGES.items():
        page, text = REFERENCE / name, make().replace("\n```\n```", "\n```\n\n```")
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                page.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{'not current' if '--check' in sys.argv else 'wrote'}: docs/reference/{name}")
    return len(stale) if "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
