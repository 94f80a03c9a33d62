"""Calls an extractor; runs in a child process, where it alone is imported."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, BinaryIO

import msgspec

from mediary.extractors.base import Extract, Piece, Wanted

PIECE_CHARACTERS = 262_144
"""At most a mebibyte of UTF-8."""


def extract(source: BinaryIO, extractor: str, wanted: dict[str, Any]) -> Iterator[Piece]:
    """The pieces of `module:function` for a `Wanted` from the wire; long ones are cut, empty ones left out."""
    module, _, name = extractor.partition(":")
    function: Extract = getattr(import_module(module), name)
    for piece in function(source, msgspec.convert(wanted, Wanted)):
        if isinstance(piece, str):
            text = piece.encode("utf-8", "replace").decode()  # half of a surrogate pair is no character
            yield from (text[at : at + PIECE_CHARACTERS] for at in range(0, len(text), PIECE_CHARACTERS))
        else:
            yield piece
