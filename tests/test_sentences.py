# ruff: noqa: RUF001 (other scripts have letters that look like Latin ones)
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.providers.local.work import WorkOverError
from mediary.sentences import LONGEST, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
        ("Dr. Smith paid 3.14 euros, i.e. little.", ["Dr. Smith paid 3.14 euros, i.e. little."]),
        ("J. R. R. Tolkien came. He left.", ["J. R. R. Tolkien came.", "He left."]),
        ("Am 3. Mai war es z. B. warm. Dann nicht.", ["Am 3. Mai war es z. B. warm.", "Dann nicht."]),
        ("It is example.com. Go there.", ["It is example.com.", "Go there."]),
        ('He said "Really?" and left. "Stop!" She stayed.', ['He said "Really?" and left.', '"Stop!"', "She stayed."]),
        ("So am I. You too.", ["So am I.", "You too."]),
        ("巴黎是首都。柏林也是！真的吗？", ["巴黎是首都。", "柏林也是！", "真的吗？"]),
        ("「雨です。」と言った。晴れです。", ["「雨です。」と言った。", "晴れです。"]),
        ("यह एक है। वह दो है।", ["यह एक है।", "वह दो है।"]),
        ("هل هذا؟ نعم. لا.", ["هل هذا؟", "نعم.", "لا."]),
        ("# A heading\nText here.", ["A heading", "Text here."]),
        ("- one\n- two\n* three", ["one", "two", "three"]),
        ("1. Mix well. Wait.\n2. Bake", ["1. Mix well.", "Wait.", "2. Bake"]),
        ("Name: X\nAge: 3", ["Name: X", "Age: 3"]),
        ("a line that is\nwrapped here. Next", ["a line that is wrapped here.", "Next"]),
        (
            "A long line that some program has wrapped at a width of eighty for\nGermany has one.",
            ["A long line that some program has wrapped at a width of eighty for Germany has one."],
        ),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["| a | b |", "| 1 | 2 |"]),
        ("\n\n---\n***\n", []),
        ("", []),
    ],
)
def test_a_text_is_cut_where_a_reader_would(text: str, expected: list[str]):
    assert list(sentences(text)) == expected


@given(st.text(alphabet=st.sampled_from("aB1 .!?。」\"'\n-|#>()…😀é"), max_size=400))
def test_every_letter_and_digit_is_in_one_sentence(text: str):
    found = list(sentences(text))
    assert "".join(filter(str.isalnum, "".join(found))) == "".join(filter(str.isalnum, text))
    assert all(sentence and len(sentence) <= LONGEST and sentence == sentence.strip() for sentence in found)


@pytest.mark.parametrize("unit", ["a", "word ", "字", "."])
def test_what_has_no_end_is_cut(unit: str):
    assert all(len(sentence) <= LONGEST for sentence in sentences(unit * 5000))


@pytest.mark.parametrize(
    "text",
    [
        "." * 3_000_000 + "x",
        "।" * 3_000_000 + "x",
        "。" * 3_000_000 + '"x',
        '"' * 3_000_000,
        ("." + '"' * 300) * 10_000,
        " " * 10_000_000,
        "- " * 3_000_000,
        "#" * 3_000_000,
        "> " * 1_000_000 + "x",
        "word " * 1_000_000,
    ],
    ids=lambda text: f"{text[:2]}…{text[-1]}",
)
@pytest.mark.timeout(30)
def test_text_of_any_shape_takes_linear_time(text: str):
    """Well under a second each; where the time grew with the square of the length, it would be hours."""
    assert all(len(sentence) <= LONGEST for sentence in sentences(text))


def test_work_that_is_over_ends_where_no_sentence_is():
    calls = 0

    def over() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise WorkOverError

    for text in ("---\n" * 10, "a. a. a. a. a"):
        calls = 0
        with pytest.raises(WorkOverError):
            list(sentences(text, over))
