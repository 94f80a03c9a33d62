# ruff: noqa: RUF001 - other scripts
"""What the web is searched for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.conversations.contexts.search_query import MAX_QUERY, MAX_WORDS, query_of
from mediary.conversations.request import CONTINUE
from mediary.providers.base import Message, Text


def chat(*texts: str) -> list[Message]:
    """What a user asked, with answers in between."""
    messages = [Message("system", (Text("You are kind."),))]
    for text in texts:
        messages += [
            Message("user", (Text("From a document.", source="a.pdf"), Text(text))),
            Message("assistant", (Text("Yes?"),)),
        ]
    return messages[:-1]


@pytest.mark.parametrize(
    ("texts", "query"),
    [
        (["Who won the race in Port Moss?"], "Who won the race in Port Moss?"),
        (["## **Who** `won` the _race_\n\n> in ~~Port~~ Moss"], "Who won the race in Port Moss"),
        (["What is [this page](https://example.com/a) of Ada Brandt?"], "What is this page of Ada Brandt?"),
        (["![a ship](https://example.com/a.png) Whose flag does the ship have?"], "Whose flag does the ship have?"),
        (["Why does this snake_case program fail?\n```py\nprint(1)\n```"], "Why does this snake_case program fail?"),
        (["Minimum wage in France", "and in Germany?"], "Minimum wage in France and in Germany?"),
        (["Minimum wage in France", "and in Germany?", "and in Spain?"], "Minimum wage in France and in Spain?"),
        (
            ["Wie hoch ist der Mindestlohn in Frankreich?", "Und in Spanien?"],
            "Wie hoch ist der Mindestlohn in Frankreich? Und in Spanien?",
        ),
        (["Who is the mayor of Port Moss?", "How old is she?"], "Who is the mayor of Port Moss? How old is she?"),
        (
            ["Who is the mayor of Port Moss?", "What about the harbour master there?"],
            "Who is the mayor of Port Moss? What about the harbour master there?",
        ),
        (["Who is the mayor?", "Weather in Port Moss tomorrow"], "Weather in Port Moss tomorrow"),
        (["and now?"], "and now?"),
        (["Who is the mayor of Port Moss?", CONTINUE], "Who is the mayor of Port Moss?"),
        (["Who is the mayor of Port Moss?", "   "], "Who is the mayor of Port Moss?"),
        (["港の図書館はいつ開館しましたか？"], "港の図書館はいつ開館しましたか？"),
        (["a\u202eb\x00c harbour bridge"], "ab c harbour bridge"),
        ([""], ""),
        (["```\nonly code\n```"], ""),
    ],
)
def test_the_query_of_a_question(texts: list[str], query: str):
    assert query_of(True, chat(*texts)) == query


def test_what_was_asked_long_before_is_not_looked_at():
    texts = ["Minimum wage in France", *["and then?"] * 30]
    assert query_of(True, chat(*texts)) == "and then?"
    assert query_of(True, chat(*texts[:10])) == "Minimum wage in France and then?"


def test_of_a_long_text_the_sentence_that_asks():
    question = "When does the ferry to the island leave?"
    text = f"{'I have been to the sea and back. ' * 40}{question} {'Thank you so much. ' * 40}"

    assert query_of(True, chat(text)) == question


def test_of_a_long_text_that_does_not_ask_how_it_begins():
    query = query_of(True, chat("Tell me of the harbour. " + "It is a long story, and it goes on and on. " * 100))

    assert query.startswith("Tell me of the harbour. It is a long story")


@pytest.mark.parametrize(
    ("wanted", "query"),
    [("port moss\n tides", "port moss tides"), ("  ", "Hello there, tides"), ("x" * 999, "x" * MAX_QUERY)],
)
def test_the_query_itself(wanted: str, query: str):
    assert query_of(wanted, chat("Hello there, tides")) == query


@given(
    st.booleans() | st.text(st.characters(codec=None)),
    st.lists(st.text(st.characters(codec=None), max_size=2000) | st.text("ab `*_[]()!#>?\n", max_size=500)),
)
def test_any_question(wanted: bool | str, texts: list[str]):
    query = query_of(wanted, chat(*texts))

    assert len(query) <= MAX_QUERY
    assert len(query.split()) <= MAX_WORDS
    assert query == " ".join(query.split())
    query.encode()


@pytest.mark.parametrize(
    "text", ["`" * 200_000, "![" * 100_000, "[" * 200_000, "_" * 200_000, "a " * 200_000, "~~~" * 60_000, "?" * 100_000]
)
def test_a_text_that_is_hard_to_read_is_read_all_the_same(text: str):
    assert len(query_of(True, chat(text))) <= MAX_QUERY
