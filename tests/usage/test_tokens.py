"""Counts of tokens, by whichever name."""

from hypothesis import given
from hypothesis import strategies as st

from mediary.usage.tokens import Tokens, read_tokens

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
NAMES = (
    *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "output_tokens_details"),
    *("cached_tokens", "cache_creation", "cache_read_input_tokens"),
)


def test_the_words_of_several_services():
    openai = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert read_tokens(openai) == Tokens(prompt=9, completion=5, total=14, saved=4, reasoning=3, heard=0)
    anthropic = {"cache_read_input_tokens": 4, "cache_creation_input_tokens": 2}
    assert read_tokens(anthropic) == Tokens(saved=4, written=2)
    assert read_tokens({"input_tokens_details": {"cached_tokens": 4}}).saved == 4
    assert read_tokens({"prompt_cache_hit_tokens": 4}).saved == 4


def test_what_is_no_count_is_not_told():
    assert read_tokens({"prompt_tokens": True, "completion_tokens": -1, "total_tokens": 1.5}) == Tokens()


@given(st.dictionaries(st.sampled_from(NAMES), json))
def test_whatever_a_service_says_is_read(usage: dict[str, object]):
    read_tokens(usage)
