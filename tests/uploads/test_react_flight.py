"""React Flight: against React's own server code, and against bodies that nobody would send in good faith."""

import base64
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.servers.react_flight import React, running_react

from mediary.uploads.react_flight import MAX_DEPTH, MAX_ROWS, MAX_VALUES, FlightError, read_row, write_arguments

VECTORS = json.loads((Path(__file__).parent / "vectors" / "flight_vectors.json").read_text())["vectors"]
BODIES = [base64.b64decode(vector["body_b64"]) for vector in VECTORS]

# As browsers send it: no half characters. The beginning is what React treats differently.
texts = st.builds(
    lambda start, text, times: (start + text) * times,
    st.sampled_from(["", "$", "$$", "$1", "$@1", "$undefined", "$D2026", "1:T5,", '\n1:{"a":1}\n', "猫", "😀"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from([1, 1, 1, 600]),
)
safe = 2**53 - 1
values = st.recursive(
    st.none() | st.booleans() | st.integers(-safe, safe) | st.floats(-safe, safe) | texts,
    lambda inner: (
        st.lists(inner, max_size=4)
        # JavaScript keeps this name for something else.
        | st.dictionaries(texts.filter(lambda name: name != "__proto__"), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def react() -> Iterator[React]:
    with running_react() as running:
        yield running


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_vectors(vector: dict[str, Any]):
    body = base64.b64decode(vector["body_b64"])

    if vector["expected"] is None:
        with pytest.raises(FlightError, match="the service reports an error"):
            read_row(body, 1)
    else:
        assert read_row(body, 1) == vector["expected"]


@given(values)
@example({"url": "$" * 1024, "text": "$2", "$": ["$", "$$", ["$", "div", None, {}]]})
@example({"a": "x" * 1023, "b": "x" * 1024, "c": "😀" * 512, "d": "猫" * 1024})
def test_what_react_writes_is_read(react: React, value: Any):
    assert read_row(react.ask("/render", json.dumps(value).encode()), 1) == value


@given(st.lists(texts))
@example(["$1", "$$", "$K1", "$undefined", "$@2", ""])
def test_react_reads_the_arguments_as_they_were(react: React, arguments: list[str]):
    assert json.loads(react.ask("/arguments", write_arguments(arguments))) == arguments


def test_values_that_json_does_not_have(react: React):
    read = read_row(react.ask("/specials"), 1)

    assert math.isnan(read.pop("nan"))
    assert math.copysign(1, read.pop("zero")) == -1
    assert read == {
        "list": [None, 1],
        "date": "2026-11-20T12:00:00.000Z",
        "bigint": 12345678901234567890,
        "infinity": math.inf,
        "less": -math.inf,
        "map": None,
        "set": None,
        "symbol": None,
        "error": None,
        "twice": [{"first": {"url": "https://files.example/a"}}, {"url": "https://files.example/a"}],
        "promise": {"inner": "x" * 2000},
        "bytes": None,
        "numbers": None,
    }


def test_an_object_that_holds_itself_is_refused(react: React):
    with pytest.raises(FlightError, match="refers to itself"):
        read_row(react.ask("/circle"), 1)


@pytest.mark.parametrize("body", BODIES, ids=[vector["name"] for vector in VECTORS])
def test_a_body_that_is_cut_anywhere(body: bytes):
    for end in range(len(body)):
        with pytest.raises(FlightError):
            read_row(body[:end], 1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "has no row 1"),
        (b"0:{}\n", "has no row 1"),
        (b'1:"$2"\n', "has no row 2"),
        (b'1:"$@2"\n', "has no row 2"),
        (b"1:\n", "row 1 of the answer cannot be read"),
        (b"1:{'a'}\n", "row 1 of the answer cannot be read"),
        (b"1:nul\n", "row 1 of the answer cannot be read"),
        (b'1:"\xff"\n', "row 1 of the answer cannot be read"),
        (b'2:T2,\xff\xfe1:"$2"\n', "row 2 of the answer cannot be read"),
        (b"2:Tffffffff,abc", "breaks off"),
        (b"2:T5,abc", "breaks off"),
        (b"2:T,abc\n", "begins no row"),
        (b"2:T-5,abc\n", "begins no row"),
        (b"2:T123456789,abc\n", "begins no row"),
        (b"123456789:{}\n", "begins no row"),
        (b"<html></html>", "byte 0 of the answer begins no row"),
        (b"\n1:{}\n", "begins no row"),
        (b'1:E{"digest":"12","message":"Too bad"}\n', "reports an error: Too bad: 12"),
        (b"1:E[]\n", "the service reports an error$"),
        (b"1:E{\n", "row 1 of the answer cannot be read"),
        (b'1:"$2:a"\n2:{"b":1}\n', "leads nowhere"),
        (b'1:"$2:9"\n2:[1]\n', "leads nowhere"),
        (b'1:"$2:a"\n2:1\n', "leads nowhere"),
        (b'1:"$1"\n', "refers to itself"),
        (b'1:{"a":["$1"]}\n', "refers to itself"),
        (b'1:"$2"\n2:"$3"\n3:"$2"\n', "refers to itself"),
        (b'1:"$2:a"\n2:{"a":"$1:a"}\n', "refers to itself"),
        (b'1:"$2:a:a"\n2:{"a":"$2:a:a"}\n', "refers to itself"),
        (b"1:" + b"[" * 100 + b"]" * 100 + b"\n", "nested too deep"),
        (b"1:" + b"[" * 100_000 + b"]" * 100_000 + b"\n", "cannot be read"),
        (b"1:[" + b"1," * MAX_VALUES + b"1]\n", f"more than {MAX_VALUES} values"),
        (b"1:1\n" * (MAX_ROWS + 1), f"more than {MAX_ROWS} rows"),
    ],
)
def test_a_body_that_cannot_be_read_says_why(body: bytes, words: str):
    with pytest.raises(FlightError, match=words):
        read_row(body, 1)


@pytest.mark.parametrize("row", ['["$%x","$%x"]', '{"a":"$%x:a:a:a","b":"$%x"}'])
def test_a_small_body_that_would_be_a_huge_value(row: str):
    body = "".join(f"{number:x}:{row % (number + 1, number + 1)}\n" for number in range(1, MAX_DEPTH))

    with pytest.raises(FlightError):
        read_row(f"{body}{MAX_DEPTH:x}:1\n".encode(), 1)


def test_rows_that_stand_for_nothing_are_passed_over():
    body = b':HL["/a.css","style"]\n:N1795176000.5\n3:I["a.js",[],""]\n4:D{"name":"x"}\n5:S4,\n\n\n\n'

    assert read_row(body + b'1:{"a":1}\n1:{"a":2}\n', 1) == {"a": 1}


@given(st.binary() | st.lists(st.sampled_from([*b'0123af:T,E"${}[]@\n\xff'])).map(bytes))
def test_any_bytes_are_a_value_or_an_error(body: bytes):
    check(body)


@given(st.sampled_from(BODIES), st.data())
def test_a_body_with_other_bytes_in_it_is_a_value_or_an_error(body: bytes, data: st.DataObject):
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 8)))
    check(body[:start] + data.draw(st.binary(max_size=8)) + body[end:])


def check(body: bytes) -> None:
    with suppress(FlightError):
        read_row(body, 1)
