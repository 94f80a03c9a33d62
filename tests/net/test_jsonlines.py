"""JSON, a value a line: however it is cut, each whole line comes once."""

import json
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.errors import ProviderError
from mediary.net.jsonlines import json_lines


async def arriving(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def split(*chunks: bytes, **options: int) -> list[bytes]:
    return [line async for line in json_lines(arriving(chunks), **options)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\r\n\r\n \n{"b":2}\r\n', [b'{"a":1}\r', b'{"b":2}\r']),
        (b'{"a":1}\n{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\n{"b":{"c":2}', [b'{"a":1}']),
        (b"no json\nnor this", [b"no json"]),
        ('{"ä":"\u2028 你好"}\n'.encode(), ['{"ä":"\u2028 你好"}'.encode()]),
        (b'{"a":1}\n\xff\xfe', [b'{"a":1}']),
        (b"\n\n", []),
        (b"", []),
    ],
)
async def test_streams(stream: bytes, expected: list[bytes]):
    assert await split(stream) == expected
    assert await split(*(stream[at : at + 1] for at in range(len(stream)))) == expected
    for cut in range(len(stream)):
        assert await split(stream[:cut], b"", stream[cut:]) == expected


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.lists(values, max_size=10), st.sampled_from(["\n", "\r\n", "\n \n"]), st.lists(st.integers(0, 500)))
async def test_any_values_cut_anywhere(said: list[object], end: str, places: list[int]):
    stream = "".join(json.dumps(value, ensure_ascii=False) + end for value in said).encode("utf-8", "surrogatepass")
    marks = sorted({0, len(stream), *(place for place in places if place < len(stream))})
    found = await split(*(stream[start:stop] for start, stop in pairwise(marks)))
    assert [json.loads(line.decode("utf-8", "surrogatepass")) for line in found] == said


@given(st.binary(max_size=80), st.lists(st.integers(0, 80)))
async def test_any_bytes_are_cut_the_same_whatever_the_chunks(stream: bytes, places: list[int]):
    marks = sorted({0, len(stream), *(place for place in places if place < len(stream))})
    assert await split(*(stream[start:stop] for start, stop in pairwise(marks))) == await split(stream)


async def test_a_long_line_is_bounded():
    line = b'"' + b"x" * 98 + b'"'
    assert await split(*(line[at : at + 7] for at in range(0, 100, 7)), b"\n", max_bytes=100) == [line]
    with pytest.raises(ProviderError, match="single line of more than 99 bytes"):
        await split(*(line[at : at + 7] for at in range(0, 100, 7)), max_bytes=99)
