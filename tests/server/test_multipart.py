"""Forms read part by part: as Starlette reads them, however the body is cut; broken ones with a sentence."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from mediary.errors import BadRequestError
from mediary.server.limits import Body
from mediary.server.multipart import LONGEST_HEADER, MOST_HEADERS, MOST_PARTS, Part, read_parts

Read = tuple[str, str | None, str, bytes]
Message = MutableMapping[str, Any]

BOUNDARY_CHARACTERS = "abcXYZ0189'()+_,-./:=?"
DISPOSITION = 'Content-Disposition: form-data; name="{}"'


def messages(pieces: Iterable[bytes], end: Message | None = None) -> list[Message]:
    """A body as ASGI hands it out."""
    sent: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    return [*sent, end or {"type": "http.request", "body": b"", "more_body": False}]


def receiving(sent: Sequence[Message]) -> Callable[[], Awaitable[Message]]:
    waiting = iter(sent)

    async def receive() -> Message:
        return next(waiting)

    return receive


def parts_of(sent: Sequence[Message], boundary: str = "b"):
    body = Body(receiving(sent), 10**9)
    return read_parts(f"multipart/form-data; boundary={boundary}".encode(), body)


async def taken(part: Part) -> Read:
    return part.field, part.filename, part.content_type, b"".join([chunk async for chunk in part.chunks])


async def read(data: bytes, boundary: str = "b") -> list[Read]:
    return [await taken(part) async for part in parts_of(messages([data]), boundary)]


async def refusal(data: bytes) -> str:
    with pytest.raises(BadRequestError) as raised:
        await read(data)
    return raised.value.message


def part(headers: str | Iterable[str], data: bytes, boundary: str = "b") -> bytes:
    lines = [headers] if isinstance(headers, str) else list(headers)
    return f"--{boundary}\r\n".encode() + "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + data + b"\r\n"


def quoted(name: str) -> str:
    """As browsers write it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\"), max_size=40).map(quoted)
boundaries = st.text(BOUNDARY_CHARACTERS, min_size=1, max_size=70)


@st.composite
def forms(draw: st.DrawFn) -> tuple[bytes, str, list[bytes]]:
    """A form, its boundary, and the same in pieces; its data are full of what looks like boundaries."""
    boundary = draw(boundaries)
    delimiter = b"\r\n--" + boundary.encode()
    crumbs = st.one_of(
        st.binary(max_size=30),
        st.integers(0, len(delimiter) - 1).map(lambda end: delimiter[:end]),
        st.sampled_from([b"\r", b"\n", b"\r\n", b"-", b"--", delimiter[:-1] + b"\0"]),
    )
    data = st.lists(crumbs, max_size=8).map(b"".join).filter(lambda content: delimiter not in b"\r\n" + content + b"\r")
    body = b""
    for name, file, content in draw(st.lists(st.tuples(names, st.none() | names, data), max_size=5)):
        heading = DISPOSITION.format(name) + ("" if file is None else f'; filename="{file}"')
        types = [] if file is None else ["Content-Type: application/x-thing"]
        body += part([heading, *types], content, boundary)
    body += f"--{boundary}--\r\n".encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=12)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    return body, boundary, pieces


async def as_starlette(sent: Sequence[Message], boundary: str) -> list[Read]:
    headers = [(b"content-type", f'multipart/form-data; boundary="{boundary}"'.encode())]
    found: list[Read] = []
    async with Request({"type": "http", "headers": headers}, receiving(sent)).form() as form:
        for name, value in form.multi_items():
            if isinstance(value, str):
                found.append((name, None, "", value.encode()))
            else:
                found.append((name, value.filename, value.content_type or "", await value.read()))
    return found


def comparable(found: Iterable[Read]) -> list[Read]:
    """A field is a text to Starlette: bytes that are none it reads as Latin-1."""

    def text(data: bytes) -> bytes:
        try:
            data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1").encode()
        return data

    return [(name, file, kind, text(data) if file is None else data) for name, file, kind, data in found]


@settings(max_examples=300, deadline=None)
@given(forms())
async def test_it_reads_what_starlette_reads_however_the_body_is_cut(form: tuple[bytes, str, list[bytes]]) -> None:
    body, boundary, pieces = form

    found = [await taken(part) async for part in parts_of(messages(pieces), f'"{boundary}"')]

    assert comparable(found) == await as_starlette(messages([body]), boundary)


@settings(max_examples=200, deadline=None)
@given(forms(), st.sets(st.integers(0, 4)))
async def test_what_nobody_takes_is_passed_over(form: tuple[bytes, str, list[bytes]], wanted: set[int]) -> None:
    body, boundary, pieces = form
    whole = await read(body, f'"{boundary}"')

    found = []
    number = 0
    async for each in parts_of(messages(pieces), f'"{boundary}"'):
        if number in wanted:
            found.append(await taken(each))
        else:
            await anext(each.chunks, b"")
        number += 1

    assert number == len(whole)
    assert found == [each for at, each in enumerate(whole) if at in wanted]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400) | st.lists(st.sampled_from([b"--b", b"\r\n", b"--", b"a: b", b":", b" "])).map(b"".join))
async def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    with suppress(BadRequestError):
        await read(data)


async def test_a_part_comes_before_the_body_is_whole() -> None:
    first = part(DISPOSITION.format("files") + '; filename="a"', b"once")
    coming = parts_of(messages([first[:-2]], {"type": "http.disconnect"}))

    each = await anext(coming)

    assert (each.field, each.filename) == ("files", "a")
    assert await anext(each.chunks) == b"once"


async def test_a_body_that_breaks_off_says_so_in_the_file_and_after_it() -> None:
    whole = part(DISPOSITION.format("files") + '; filename="a"', b"once")
    half = part(DISPOSITION.format("files") + '; filename="b"', b"upon")[:-4]
    coming = parts_of(messages([whole, half], {"type": "http.disconnect"}))

    assert (await taken(await anext(coming)))[3] == b"once"
    broken = await anext(coming)
    with pytest.raises(BadRequestError, match="broke off"):
        await taken(broken)
    with pytest.raises(BadRequestError, match="broke off"):
        await anext(coming)


@pytest.mark.parametrize("data", [b"", part(DISPOSITION.format("a"), b"x"), part(DISPOSITION.format("a"), b"x")[:-9]])
async def test_a_form_without_an_end_is_refused(data: bytes) -> None:
    assert await refusal(data) == "the form ends before its last boundary"


async def test_what_stands_behind_the_form_is_passed_over() -> None:
    assert await read(part(DISPOSITION.format("a"), b"x") + b"--b--\r\nthe end") == [("a", None, "", b"x")]


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('filename="Übung 1.pdf"', "Übung 1.pdf"),
        ("filename*=UTF-8''%C3%9Cbung%201.pdf", "Übung 1.pdf"),
        ("filename=\"plain\"; filename*=utf-8''%C3%9C", "plain"),
        ('filename=""', ""),
        ("filename=bare", "bare"),
    ],
)
async def test_a_file_is_what_bears_a_files_name(disposition: str, name: str) -> None:
    [(field, filename, _, data)] = await read(
        part(f"{DISPOSITION.format('whatever')}; {disposition}", b"x") + b"--b--\r\n"
    )

    assert (field, filename, data) == ("whatever", name, b"x")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (part("Content-Disposition: form-data", b""), "a part has no name"),
        (part("Content-Type: text/plain", b""), "a part has no name"),
        (part("no header", b""), "cannot be read"),
        (part(f"{DISPOSITION.format('x' * LONGEST_HEADER)}", b""), "header size"),
        (part([DISPOSITION.format("x"), *(f"x-{n}: y" for n in range(MOST_HEADERS))], b""), "header count"),
        (part(DISPOSITION.format("x"), b"") * (MOST_PARTS + 1), f"{MOST_PARTS} parts"),
    ],
    ids=["no name", "no disposition", "no header", "long header", "many headers", "many parts"],
)
async def test_a_form_has_limits(data: bytes, said: str) -> None:
    assert said in await refusal(data + b"--b--\r\n")


@pytest.mark.parametrize(
    ("content_type", "said"),
    [
        (b"", "must be a form"),
        (b"application/json", "must be a form"),
        (b"multipart/form-data", "names no boundary"),
        (b"multipart/form-data; boundary=", "names no boundary"),
        (b"multipart/form-data; boundary=" + b"x" * 300, "Boundary length"),
    ],
)
async def test_what_is_no_form_is_refused(content_type: bytes, said: str) -> None:
    with pytest.raises(BadRequestError, match=said):
        await anext(read_parts(content_type, Body(receiving(messages([])), 100)))
