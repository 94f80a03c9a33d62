# ruff: noqa: RUF001 (other scripts have letters that look like Latin ones)
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.providers.base import Image, Message, Text
from mediary.providers.local.passages import MOST, find_passages
from mediary.words import words

GEOGRAPHY = (
    "Paris is the capital of France. Berlin is the capital of Germany. The Rhine is a river. "
    "France exports wine. Madrid lies in Spain, whose summers are dry."
)


def quoted(question: str, *documents: str, before: tuple[Message, ...] = ()) -> list[str]:
    attached = tuple(Text(document, f"{number}.txt") for number, document in enumerate(documents))
    found = find_passages((*before, Message("user", (Text(question), *attached))))
    return [passage.text for passage in found.passages]


@pytest.mark.parametrize(
    ("question", "document", "best"),
    [
        ("What is the capital of France?", GEOGRAPHY, "Paris is the capital of France."),
        ("Tell me about WINES", GEOGRAPHY, "France exports wine."),
        ("Which rivers are there?", GEOGRAPHY, "The Rhine is a river."),
        ("Wie hoch ist die Miete?", "Der Keller ist groß. Die Miete beträgt 900 Euro.", "Die Miete beträgt 900 Euro."),
        ("Quelle est la date de livraison?", "Il pleut. La livraison est le 3 mai.", "La livraison est le 3 mai."),
        ("Когда основана Москва?", "Погода хорошая. Москва основана в 1147 году.", "Москва основана в 1147 году."),
        ("法国的首都是什么？", "今天天气很好。巴黎是法国的首都。", "巴黎是法国的首都。"),
        ("フランスの首都は？", "今日は晴れ。パリはフランスの首都です。", "パリはフランスの首都です。"),
        ("서울의 인구는?", "부산은 항구이다. 서울 인구는 약 940만 명이다.", "서울 인구는 약 940만 명이다."),
        ("भारत की राजधानी?", "मौसम अच्छा है। नई दिल्ली भारत की राजधानी है।", "नई दिल्ली भारत की राजधानी है।"),
        ("เมืองหลวงของไทย?", "กรุงเทพเป็นเมืองหลวงของไทย", "กรุงเทพเป็นเมืองหลวงของไทย"),
        ("Was kostet die STRASSE?", "Die Straße kostet viel.", "Die Straße kostet viel."),
    ],
)
def test_the_sentence_that_answers_comes_first(question: str, document: str, best: str):
    assert quoted(question, document)[0] == best


def test_a_sentence_with_all_words_beats_two_with_one_each():
    assert quoted("What is the capital of France?", GEOGRAPHY) == ["Paris is the capital of France."]


@pytest.mark.parametrize("question", ["", "Who are you?", "Is there cheese?", "🦊?", "???", "\n"])
def test_where_nothing_bears_on_it_nothing_is_quoted(question: str):
    assert quoted(question, GEOGRAPHY) == []


def test_the_question_is_no_answer_to_itself():
    assert quoted("What is my invoice number?") == []
    asked_before = Message("user", (Text("What is my invoice number?"),))
    assert quoted("What is my invoice number?", before=(asked_before,)) == []


def test_what_was_said_before_answers():
    before = (
        Message("user", (Text("My dog is called Rex. Is he old?"),)),
        Message("assistant", (Text("> A dog barks. — dogs.txt\n\nYour dog may be four."),)),
    )
    assert quoted("How is my dog called?", before=before) == ["My dog is called Rex."]
    assert quoted("Why four?", before=before) == ["Your dog may be four."]
    assert quoted("Who barks?", before=before) == []  # what an answer quotes was said elsewhere


def test_what_stands_beside_the_question_answers():
    assert quoted("My key lies under the mat. Where is my key?") == ["My key lies under the mat."]


def test_the_document_is_named():
    message = Message("user", (Text("Which river is there?"), Text(GEOGRAPHY, "geo.md"), Text("A river is wet.", None)))
    found = find_passages((message,))
    assert {passage.text: passage.source for passage in found.passages} == {
        "The Rhine is a river.": "geo.md",
        "A river is wet.": None,
    }


def test_a_sentence_is_quoted_once():
    assert quoted("Which river?", "The Rhine is a river.", "The Rhine is a river.") == ["The Rhine is a river."]


def test_a_handful_at_most():
    assert len(quoted("Which apple?", " ".join(f"Apple {number} is red." for number in range(200)))) == MOST


@pytest.mark.parametrize("messages", [(), (Message("user", ()),), (Message("user", (Image("image/png", b""),)),)])
def test_without_text_nothing_is_found(messages: tuple[Message, ...]):
    found = find_passages(messages)
    assert (found.passages, found.words) == ([], 0)


def test_one_sentence_in_a_megabyte_is_found():
    chance = random.Random(1)
    vocabulary = ["".join(chance.choices("abcdefghijklmnop", k=chance.randint(2, 9))) for _ in range(5000)]
    noise = [" ".join(chance.choices(vocabulary, k=12)).capitalize() + "." for _ in range(14_000)]
    noise.insert(9_000, "The vault opens with the word quince.")
    text = " ".join(noise)
    assert len(text) > 1_000_000
    assert quoted("Which word opens the vault?", text)[0] == "The vault opens with the word quince."


def test_words_are_counted():
    assert find_passages((Message("user", (Text("One two?"), Text("Three four five.", "a"))),)).words == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("don't stop", ["don", "t", "stop"]),
        ("iPhone手机壳", ["iphone", "手机", "机壳"]),
        ("हिन्दी", ["हिन्दी"]),
        ("字", ["字"]),
        ("ＡＢＣ", ["abc"]),
    ],
)
def test_words_in_any_script(text: str, expected: list[str]):
    assert words(text) == expected


@given(st.text(max_size=200), st.text(max_size=400))
def test_any_text_is_read(question: str, document: str):
    assert len(quoted(question, document)) <= MOST
