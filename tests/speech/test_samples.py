"""Samples, however a service sends and cuts them."""

import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.errors import ProviderError
from mediary.providers.base import Spoken
from mediary.sounds import wav_front
from mediary.speech.samples import read_samples


async def cut(data: bytes, places: list[int]) -> AsyncIterator[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    for start, end in pairwise(edges):
        yield data[start:end]


async def read(media_type: str, data: bytes, places: list[int]) -> tuple[int, bytes]:
    samples = await read_samples("Test", Spoken(media_type, cut(data, places)))
    pieces = [piece async for piece in samples.pieces]
    assert all(piece and len(piece) % 2 == 0 for piece in pieces)
    return samples.rate, b"".join(pieces)


_places = st.lists(st.integers(0, 10_000), max_size=8)


@given(st.binary(max_size=300), _places)
async def test_bare_samples_are_cut_anywhere(data: bytes, places: list[int]):
    assert await read("audio/pcm;rate=24000", data, places) == (24000, data[: len(data) & ~1])


@given(st.binary(min_size=2, max_size=300), _places, st.sampled_from([b"", b"LIST\x03\x00\x00\x00abc\x00"]))
async def test_a_wav_file_is_cut_anywhere(data: bytes, places: list[int], further: bytes):
    front = wav_front(16000, len(data))
    wav = front[:36] + further + front[36:] + data
    assert await read("audio/wav", wav, places) == (16000, data[: len(data) & ~1])


@given(st.binary(max_size=400), _places)
async def test_what_is_no_wav_file_is_no_samples(data: bytes, places: list[int]):
    with suppress(ProviderError):
        rate, samples = await read("audio/wav", data, places)
        assert rate
        assert len(samples) <= len(data)


@pytest.mark.parametrize("at", [20, 22, 34])
async def test_other_samples_are_refused(at: int):
    wav = bytearray(wav_front(16000, 4) + bytes(4))
    struct.pack_into("<H", wav, at, 3)
    with pytest.raises(ProviderError, match="mono with 16 bits"):
        await read("audio/wav", bytes(wav), [])


@pytest.mark.parametrize("rate", [1, 999, 2**32 - 1])
async def test_a_rate_that_no_voice_has_is_refused(rate: int):
    wav = bytearray(wav_front(16000, 4) + bytes(4))
    struct.pack_into("<I", wav, 24, rate)
    with pytest.raises(ProviderError, match="samples a second"):
        await read("audio/wav", bytes(wav), [])


async def test_a_sound_without_an_end_is_cut_off():
    async def noise() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1024**2)

    samples = await read_samples("Test", Spoken("audio/pcm;rate=24000", noise()))
    with pytest.raises(ProviderError, match="more than"):
        assert [len(piece) async for piece in samples.pieces]


@pytest.mark.parametrize("media_type", ["audio/mpeg", "audio/pcm", "audio/pcm;rate=0", ""])
async def test_another_type_is_refused(media_type: str):
    with pytest.raises(ProviderError, match="neither samples nor a WAV file"):
        await read(media_type, b"abcd", [])
