"""What comes from outside goes into any database."""

import json

from hypothesis import given
from hypothesis import strategies as st

from mediary.database.metadata import clean_json, clean_text

texts = st.text(st.characters(codec=None))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(texts)
def test_a_text_is_fit_to_store(text: str):
    cleaned = clean_text(text)
    assert "\0" not in cleaned
    cleaned.encode()
    assert clean_text(cleaned) == cleaned


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_a_plain_text_stays_as_it_is(text: str):
    assert clean_text(text) == text


@given(values)
def test_a_value_is_fit_for_json(value: object):
    written = json.dumps(clean_json(value), allow_nan=False, ensure_ascii=False)
    written.encode()
    assert "\\u0000" not in written.replace("\\\\", "")
