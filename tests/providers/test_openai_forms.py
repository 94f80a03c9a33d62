"""Every service's own form of an answer, cut into pieces anywhere, with any line ends, and broken off anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.providers.conftest import Make
from tests.providers.forms import FORMS, Form, check, cut, read_pieces
from tests.providers.turns import Turn, ask, hold
from tests.servers.scripted import Scripted, streamed, whole

from mediary.errors import StreamInterruptedError
from mediary.events import Media
from mediary.providers.openai.chat import ChatReader

forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
STREAMED = [form for form in FORMS if form.name.endswith(".sse")]


async def read(pieces: list[bytes]) -> Turn:
    return await read_pieces(pieces, ChatReader("Test", "m", lambda url: Media(kind="image", url=url)))


@forms
async def test_over_the_network(make: Make, service: Scripted, form: Form):
    service.play(whole(form.body.encode(), content_type="text/event-stream"))
    check(await hold(make(service.base_url), ask("Hello")), form)


@forms
async def test_a_byte_at_a_time(make: Make, service: Scripted, form: Form):
    service.play(streamed(*(bytes([byte]) for byte in form.body.encode())))
    check(await hold(make(service.base_url), ask("Hello")), form)


@given(
    form=st.sampled_from(FORMS),
    places=st.lists(st.integers(0, 4000), max_size=30),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
)
async def test_cut_anywhere(form: Form, places: list[int], ends: str):
    body = form.body.replace("\n", ends).encode()
    check(await read(cut(body, places)), form)


@given(form=st.sampled_from(STREAMED), length=st.integers(1, 6000))
async def test_broken_off_anywhere(form: Form, length: int):
    body = form.body.encode()[:length]
    turn = await read([body])
    assert form.text.startswith(turn.text)
    assert form.reasoning.startswith(turn.reasoning)
    if turn.error is None:
        assert turn.text == form.text
        assert turn.reason == form.reason
    else:
        assert type(turn.error) is StreamInterruptedError
        assert turn.reason is None


@given(st.binary(min_size=1, max_size=200))
async def test_any_bytes_end_in_a_provider_error(noise: bytes):
    turn = await read([noise])
    assert turn.error is not None
    assert turn.error.status in (502, 503, 504)


@given(st.binary(max_size=60))
async def test_any_data_of_an_event_ends_well_or_in_a_provider_error(noise: bytes):
    turn = await read([b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: ' + noise + b"\n\n"])
    assert turn.text.startswith("a") or turn.error
    assert turn.error is None or turn.error.code != "internal"
