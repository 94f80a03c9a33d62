"""Text in pieces that are said one after the other."""

from itertools import repeat

from hypothesis import given
from hypothesis import strategies as st

from mediary.sentences import LONGEST, sentences
from mediary.spoken import joined, pieces

TEXT = "One is short. Two is a little longer than that. Three.\n\n# Four\n\nFive is last."


def test_pieces_hold_whole_sentences_and_grow():
    assert list(pieces(TEXT, iter([20, 50, 10, 10]))) == [
        ["One is short."],
        ["Two is a little longer than that.", "Three.", "Four"],
        ["Five is last."],
    ]


def test_a_heading_keeps_apart_from_what_follows():
    (piece,) = pieces(TEXT, repeat(10**6))
    assert joined(piece).endswith("Three. Four\n\nFive is last.")


@given(st.text(max_size=2000), st.integers(1, 400))
def test_every_sentence_is_said_once_and_in_order(text: str, most: int):
    found = list(pieces(text, repeat(most)))
    assert [sentence for piece in found for sentence in piece] == list(sentences(text))
    assert all(len(joined(piece)) <= max(most, LONGEST) for piece in found)
