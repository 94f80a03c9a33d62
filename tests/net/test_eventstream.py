"""Server-sent events: any stream, cut anywhere, gives the events that the standard's own algorithm gives."""

from collections.abc import AsyncIterator, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.errors import ProviderError
from mediary.net.eventstream import events


async def arriving(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def parsed(*chunks: bytes, **options: int) -> list[bytes]:
    return [data async for data in events(arriving(chunks), **options)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: one\n\ndata: two\n\n", [b"one", b"two"]),
        (b"data:one\n\ndata:  two\n\n", [b"one", b" two"]),
        (b"data: one\r\n\r\ndata: two\r\n\r\n", [b"one", b"two"]),
        (b"data: one\r\rdata: two\r\r", [b"one", b"two"]),
        (b"data: one\r\n\ndata: two\n\r\n", [b"one", b"two"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\r\ndata:\r\ndata: b\r\n\r\n", [b"a\n\nb"]),
        (b"data\n\ndata\ndata\n\ndata:\n\n", [b"", b"\n", b""]),
        (b": ping\n\n: ping\ndata: one\n: ping\n\n", [b"one"]),
        (b"event: delta\nid: 7\nretry: 10\ndata: one\n\n", [b"one"]),
        (b"event: only\n\nid: 1\n\n", []),
        (b"datum: no\ndata : no\n data: no\nDATA: no\n\n", []),
        (b"\xef\xbb\xbfdata: one\n\n", [b"one"]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: no\n\ndata: one\n\n", [b"one"]),
        (b"\n\n\n\ndata: one\n\n\n\n\ndata: two\n\n\n", [b"one", b"two"]),
        ("data: grüße 你好\n\n".encode(), ["grüße 你好".encode()]),
        (b"data: one\n", [b"one"]),
        (b"data: one\ndata: two\r", [b"one\ntwo"]),
        (b"data: one\n\ndata: cut", [b"one"]),
        (b"data: one\ndata: cut", []),
        (b"", []),
        (b"\xef\xbb", []),
        (b"\n", []),
    ],
)
async def test_streams(stream: bytes, expected: list[bytes]):
    assert await parsed(stream) == expected
    assert await parsed(*(stream[at : at + 1] for at in range(len(stream)))) == expected
    for cut in range(len(stream)):
        assert await parsed(stream[:cut], b"", stream[cut:]) == expected


def by_the_standard(stream: bytes) -> list[bytes]:
    """The standard's algorithm, line by line; a last line without its end is dropped, a last event is not."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found: list[bytes] = []
    data: list[bytes] = []
    *lines, cut = text.split(b"\n")
    for line in lines:
        name, _, value = line.partition(b":")
        if not line:
            if data:
                found.append(b"\n".join(data))
            data = []
        elif name == b"data":
            data.append(value.removeprefix(b" "))
    return [*found, b"\n".join(data)] if data and not cut else found


names = st.sampled_from([b"data:", b"data: ", b"data", b"event: x", b": c", b"id: 1", b"da", b"ta: y"])
ends = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n"])
odds = st.sampled_from([b" ", b"{}", "é".encode(), b":", b"\xef\xbb\xbf", b"\xef", b"\xbb"])
streams = st.lists(names | ends | odds, max_size=40).map(b"".join)


@given(streams, st.lists(st.integers(0, 120), max_size=12))
async def test_any_cut_of_any_stream_gives_the_same_events(stream: bytes, cuts: list[int]):
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(edges)]
    assert b"".join(chunks) == stream
    assert await parsed(*chunks) == by_the_standard(stream)


async def test_an_event_that_is_too_large_is_refused():
    assert await parsed(b"data: 0123\n\n", b"data: ", b"0123\n\n", max_bytes=10) == [b"0123", b"0123"]
    with pytest.raises(ProviderError, match="more than 10 bytes"):
        await parsed(b"data: 01", b"2345", b"\n\n", max_bytes=10)


async def test_events_before_a_failure_are_not_lost():
    async def breaking() -> AsyncIterator[bytes]:
        yield b"data: one\n\ndata: tw"
        raise ProviderError("cut")

    stream = events(breaking())
    assert await anext(stream) == b"one"
    with pytest.raises(ProviderError, match="cut"):
        await anext(stream)


async def test_a_long_event_is_joined_once():
    # 16 MB in 16,000 pieces: joining at each piece would move 128 GB and run into the time limit.
    piece = b"x" * 1024
    assert await parsed(b"data: ", *[piece] * 16_000, b"\n\n") == [piece * 16_000]
