# ruff: noqa: RUF001 - other scripts
"""Passages of texts that are at hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediary.passages.find import find

LEASE = """# Lease

## Rent

The monthly rent is 1,240 euros, due on the third working day.

## Notice

Either party may end the contract with three months to the end of a quarter.
"""
FILLER = "\n\n".join(f"The house number {at} has rooms and a roof. " * 20 for at in range(50))
TEXTS = [("lease", LEASE), ("filler", FILLER)]


@pytest.mark.parametrize(
    ("question", "document", "words"),
    [
        ("How can I end the contract?", "lease", "three months"),
        ("monthly rents", "lease", "1,240"),
        ("house 17", "filler", "number 17"),
    ],
)
def test_what_bears_on_a_question(question: str, document: str, words: str):
    best = find(TEXTS, question, 5000)[0]

    assert best.document == document
    assert words in best.text


def test_the_headings_of_a_passage_are_with_it():
    long = f"# Port Moss\n\n## Tides\n\n{'Water rises and falls. ' * 60}\n\nThe highest tide was in 1953."
    [found] = [passage for passage in find([("tides", long)], "highest tide 1953", 3000) if "1953" in passage.text]

    assert found.text.startswith("Port Moss › Tides")


@pytest.mark.parametrize("question", ["", "???", "what is it about", "helicopter"])
def test_where_nothing_does(question: str):
    assert find(TEXTS, question, 5000) == []


def test_no_text_takes_all_the_room():
    much = "\n\n".join(f"# Part {at}\n\nThe lease of flat {at}. " + f"Word{at} " * 150 for at in range(30))
    found = find([("much", much), ("little", "The lease of a garage. " + "car " * 200)], "lease", 6000)

    assert {passage.document for passage in found} == {"much", "little"}


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=2000))), st.text(max_size=100), st.integers(0, 5000))
@settings(deadline=None)
def test_any_texts_and_any_question(texts: list[tuple[str, str]], question: str, most: int):
    assert sum(len(passage.text) for passage in find(texts, question, most)) <= most
