"""How a text is cut into passages."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from mediary.passages.cut import LONGEST, Cut, cut


def pieces_of(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


texts = st.text(alphabet=st.sampled_from("ab .\n\n#|`é中。\0\ufeff🎉"), max_size=200).map(lambda text: text * 40)


@given(texts, st.integers(1, 5000))
@settings(deadline=None, max_examples=60)
def test_passages_are_the_whole_text_in_order_however_it_comes(text: str, size: int):
    data = text.encode()
    cuts = list(cut(pieces_of(data, size)))

    assert cuts == list(cut([data]))
    assert all(0 < len(made.text) <= LONGEST for made in cuts)
    at = 0
    for made in cuts:
        assert not data[at : made.start].strip()
        at = made.start + made.size
    assert not data[at:].decode().strip()
    assert "".join("".join(made.text.split()) for made in cuts) == "".join(text.replace("\0", " ").split())


@given(st.binary(max_size=5000))
@settings(deadline=None)
def test_bytes_that_are_no_text_can_be_cut_and_indexed(data: bytes):
    for made in cut([data]):
        made.text.encode()
        assert made.start + made.size <= len(data)


def cuts_of(text: str) -> list[Cut]:
    return list(cut([text.encode()]))


def test_a_passage_ends_at_a_paragraph_rather_than_in_it():
    cuts = cuts_of("\n\n".join("A sentence of a paragraph that goes on. " * 9 for _ in range(20)))

    assert len(cuts) > 5
    assert all(made.text.startswith("A sentence") and made.text.endswith("goes on.") for made in cuts)


def test_a_section_that_is_not_short_begins_a_passage():
    cuts = cuts_of("\n".join(f"## Section {at}\n\n" + f"Words of section {at}. " * 15 for at in range(10)))

    assert [made.text.splitlines()[0] for made in cuts] == [f"## Section {at}" for at in range(10)]


def test_rows_of_a_table_have_its_head():
    rows = "\n".join(f"| Item {at} | {at} euros |" for at in range(300))
    cuts = cuts_of(f"# Prices\n\n| What | How much |\n|---|---|\n{rows}\n\nThe end of it.")

    assert len(cuts) > 3
    assert all(made.context == "Prices\n| What | How much |" for made in cuts[1:-1])
    assert all(made.text.startswith("| Item") for made in cuts[1:-1])


def test_what_looks_like_a_heading_in_code_is_none():
    cuts = cuts_of("# Real\n\n```sh\n# a comment\n" + "echo 1\n" * 300 + "```\n" + "Text. " * 300)

    assert {made.context for made in cuts[1:]} == {"Real"}
