"""How words are weighed and rankings joined."""

from hypothesis import given
from hypothesis import strategies as st

from mediary.memory.ranking import MOST_POSTINGS, by_length, fuse, make_plan, rarity
from mediary.memory.terms import LONGEST_TERM, longest_form, stem, telling, terms

counts = st.dictionaries(st.text(min_size=1, max_size=5), st.integers(1, 50_000), max_size=12)


@given(counts, counts)
def test_a_plan_has_every_word_once_and_reads_no_more_than_it_may(known: dict[str, int], forms: dict[str, int]):
    plan = make_plan(known, forms, 50_000)
    words = [each.word for each in (*plan.rare, *plan.common)]
    assert sorted(words) == sorted({*known, *forms})
    assert sum(each.items for each in plan.rare[1:]) <= MOST_POSTINGS
    assert bool(plan.rare) == bool(words)
    assert all(each.weight > 0 for each in (*plan.rare, *plan.common))
    if plan.common:
        assert max(each.items for each in plan.rare) <= min(each.items for each in plan.common)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_what_fewer_have_weighs_more(items: int, of: int):
    assert rarity(items, of) > 0
    assert rarity(items, of) >= rarity(items + 1, max(of, items + 1)) or of <= items


def test_the_same_words_say_more_in_a_short_item():
    assert by_length(1, 5) > by_length(1, 50) > by_length(1, 5000) > 0.3


rankings = st.lists(st.lists(st.integers(0, 30), unique=True, max_size=20), min_size=1, max_size=3)


@given(rankings)
def test_a_joined_ranking_holds_all_and_what_is_first_everywhere_comes_first(lists: list[list[int]]):
    joined = fuse(*lists)
    assert {item for item, _ in joined} == {item for each in lists for item in each}
    scores = [score for _, score in joined]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1.0000001 for score in scores)
    firsts = {each[0] if each else None for each in lists}
    if len(firsts) == 1 and None not in firsts:
        assert joined[0][0] in firsts
    for each in lists[:1] if len(lists) == 1 else []:
        assert [item for item, _ in joined] == each


@given(st.text())
def test_words_are_fit_for_the_index(text: str):
    for word in terms(text):
        assert word
        assert len(word) <= LONGEST_TERM
        assert not any(char.isspace() or char in '"\0' for char in word)
        begin = stem(word)
        assert begin is None or word.startswith(begin)
        assert longest_form(word) >= len(word)


def test_words_of_grammar_count_only_where_there_are_no_others():
    assert telling("What is the name of my cat?") == ["name", "cat"]
    assert telling("to be or not to be") == ["to", "be", "or", "not"]
