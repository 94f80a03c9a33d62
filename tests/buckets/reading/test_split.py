"""Cutting texts into chunks."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.buckets.reading.split import is_complete, split_file_by_size_and_newline

lines = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["```", "```python", "~~~", "````", "  ```", "<-- End -->", "", "<!-- File: a.md -->", "x" * 150, "ü" * 90]
    ),
)


def split(text: bytes, size: int) -> list[bytes]:
    with TemporaryDirectory() as folder:
        source = Path(folder, "text")
        source.write_bytes(text)
        chunks = split_file_by_size_and_newline(source, Path(folder), size)
        assert [chunk.name for chunk in chunks] == [f"plain_{at:04}.cache" for at in range(1, len(chunks) + 1)]
        return [chunk.read_bytes() for chunk in chunks]


@given(st.lists(lines), st.integers(4, 200), st.booleans())
def test_chunks_are_the_text_and_bounded_and_whole_characters(texts: list[str], size: int, ends: bool):
    text = ("\n".join(texts) + "\n" * ends).encode(errors="replace")
    chunks = split(text, size)
    assert b"".join(chunks) == text
    assert all(0 < len(chunk) <= 2 * size for chunk in chunks)
    for chunk in chunks:
        chunk.decode()  # no cut within a character


@given(st.binary(max_size=500), st.integers(4, 50))
def test_any_bytes(text: bytes, size: int):
    chunks = split(text, size)
    assert b"".join(chunks) == text
    assert all(0 < len(chunk) <= 2 * size for chunk in chunks)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 12)), min_size=1, max_size=30), st.sampled_from(["```", "~~~~"])
)
def test_no_code_block_that_fits_is_cut(parts: list[tuple[bool, int]], fence: str):
    written = [
        f"{fence}c\n" + "a line\n" * length + f"{fence}\n" if is_code else "a line\n\n" * length
        for is_code, length in parts
    ]
    chunks = split("".join(written).encode(), 100)
    assert all(is_complete(chunk.decode()) for chunk in chunks)
    assert all(chunk.endswith(b"\n") for chunk in chunks)


def test_a_chunk_ends_with_the_line_that_reaches_the_size():
    assert split(b"aaaa\nbbbb\ncccc\n", 6) == [b"aaaa\nbbbb\n", b"cccc\n"]


def test_a_block_that_would_not_fit_any_more_begins_a_chunk():
    block = b"```\n" + b"x\n" * 30 + b"```\n"
    assert split(b"text\n" * 8 + block + b"text\n" * 8, 50) == [b"text\n" * 8, block, b"text\n" * 8]


def test_a_block_that_is_too_long_is_cut_at_lines_and_ends_where_it_ends():
    block = b"```\n" + b"xxxx\n" * 50 + b"```\n"
    chunks = split(block + b"text\n" * 30, 40)
    assert b"".join(chunks) == block + b"text\n" * 30
    assert all(chunk.endswith(b"\n") for chunk in chunks)
    assert [len(chunk) for chunk in chunks[:3]] == [79, 80, 80]


def test_a_line_that_would_not_fit_begins_a_chunk_and_a_longer_one_is_cut_between_characters():
    assert split(b"abc\n" + b"x" * 18 + b"\n", 10) == [b"abc\n", b"x" * 18 + b"\n"]
    chunks = split("ü".encode() * 100, 7)
    assert {len(chunk) for chunk in chunks[:-1]} == {14}
    assert split("€".encode() * 10, 4)[0] == "€€".encode()


def test_a_block_that_one_document_leaves_open_does_not_go_on_in_the_next():
    text = b"<!-- File: a -->\n```\nopen\n<-- End -->\n\n<!-- File: b -->\n" + b"line\n" * 20
    assert all(len(chunk) <= 45 for chunk in split(text, 40)[1:])


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("", True),
        ("plain\n", True),
        ("```\ncode\n```\n", True),
        ("```\ncode\n", False),
        ("```\ncode\n~~~\n", False),
        ("````\n```\n````", True),
        ("````\n```\n", False),
        ("``` not `a` fence\n", True),
        ("```\ncode\n``` python\n", False),
        ("- item\n  ```\n  code\n  ```\n", True),
        ("in `a` line ``` here\n", True),
        ("~~~ `a`\n", False),
    ],
)
def test_is_complete(text: str, complete: bool):
    assert is_complete(text) is complete
