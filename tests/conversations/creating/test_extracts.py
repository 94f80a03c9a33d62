"""Code and JSON out of an answer in Markdown."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.conversations.creating.extracts import CodeBlock, code_blocks, find_code, find_json

LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=20), max_size=8)
PROSE = st.text(st.characters(codec="utf-8", exclude_characters="`~{}[]\\<\r\0", exclude_categories=["Cc", "Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(LINES, st.sampled_from("`~"), st.integers(0, 4), st.integers(0, 3), st.sampled_from(["", "py", "c++"]))
def test_a_block_holds_its_lines_whatever_they_are(lines: list[str], mark: str, more: int, indent: int, language: str):
    longest = max((len(line) - len(line.lstrip(mark)) for line in lines), default=0)
    fence = " " * indent + mark * (max(longest, 2) + 1 + more)
    code = "".join(f"{line}\n" for line in lines)
    inset = "".join(f"{' ' * indent}{line}\n" for line in lines)
    assert code_blocks(f"Here:\n\n{fence}{language}\n{inset}{fence}\n\nThat was it.") == [CodeBlock(language, code)]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("no block, `code` in a line", []),
        ("````md\n```py\nx\n```\n````", [("md", "```py\nx\n```\n")]),
        ("~~~\n```\n~~~", [("", "```\n")]),
        ("```py title='x'\n1\n```\n```{.sh}\n2\n```", [("py", "1\n"), ("sh", "2\n")]),
        ("```python\ncut o", [("python", "cut o")]),
        ("- one\n\n  ```PY\n  1\n   2\n  ```", [("py", "1\n 2\n")]),
        ("1. a\n   - b\n     ```js\n     1\n     ```", [("js", "1\n")]),
        ("> ```\n> quoted\n> ```", [("", "quoted\n")]),
        ("    ```\n    text that is set in\n    ```", []),
        ("```py\n    1\n\n\n2\n```", [("py", "    1\n\n\n2\n")]),
        ("```py\r\n1\r\n```", [("py", "1\n")]),
        ("```\n``` no end\n```", [("", "``` no end\n")]),
        ("``` a ` b\nno block", []),
    ],
)
def test_blocks_are_those_of_commonmark(text: str, blocks: list[tuple[str, str]]):
    assert code_blocks(text) == [CodeBlock(*block) for block in blocks]


def test_the_language_decides_else_the_first_block_that_has_none():
    text = "```sh\n1\n```\n```\n2\n```\n```python\n3\n```"
    assert find_code(text) == "1\n"
    assert find_code(text, "Python") == "3\n"
    assert find_code(text, "rust") == "2\n"
    assert find_code("```sh\n1\n```", "rust") is None
    assert find_code("none") is None


@given(PROSE, VALUES, PROSE, st.sampled_from([None, 1]))
def test_json_is_found_in_a_block(before: str, value: object, after: str, indent: int | None):
    written = json.dumps(value, indent=indent, ensure_ascii=False)
    assert find_json(f"{before}\n\n```json\n{written}\n```\n\n{after}") == written


@given(PROSE, st.lists(VALUES, min_size=2) | st.dictionaries(st.text(), VALUES), PROSE)
def test_json_is_found_bare(before: str, value: object, after: str):
    written = json.dumps(value)
    assert find_json(f"{before}x {written} x{after}") == written


@given(VALUES)
def test_json_alone_is_itself(value: object):
    written = json.dumps(value)
    assert find_json(f"\n {written} \n") == written


@given(st.dictionaries(st.text(), VALUES, min_size=1), st.data())
def test_of_a_value_that_is_cut_off_nothing_is_taken(value: object, data: st.DataObject):
    written = json.dumps(value)
    cut = written[: data.draw(st.integers(0, len(written) - 1))]
    assert find_json(f"Here: {cut}") is None
    assert find_json(f"```json\n{cut}") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("As [1] says:\n```\n[2]\n```", "[2]"),
        ('As [1] and {name} say, {"a": [1]} it is', '{"a": [1]}'),
        ("```python\n[1]\n```\n```json\n{}\n```", "{}"),
        ("```json\n{broken}\n```\n```\n{}\n```", None),
        ("[NaN]", None),
        ("[Infinity, 1]", None),
        ('{"a": 1,}', None),
        ("[" * 100_000, None),
        ('{"a":' * 100_000, None),
        ("9" * 10_000, "9" * 10_000),
        ("", None),
        ("nothing", None),
    ],
)
def test_which_value_it_is(text: str, found: str | None):
    assert find_json(text) == found


@given(st.text(st.sampled_from('`~ \n>-*1.{}[]":,a\t<'), max_size=200))
def test_no_text_is_too_strange(text: str):
    found = find_json(text)
    assert found is None or json.loads(found) is not ...
    assert all(isinstance(block.code, str) for block in code_blocks(text))
