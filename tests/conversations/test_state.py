"""The state of a conversation on its way out and back."""

from typing import Any

import pytest

from mediary.conversations.state import StateOfTurn, state_for
from mediary.events import ConversationState


def test_what_goes_out_comes_back_to_its_provider_alone():
    state = StateOfTurn("A", "run")
    first = state.event().conversation
    assert first == {"A": {"run_id": "run"}}
    told = state.merge(ConversationState(conversation={"id": 7, "turns": ["x"]})).conversation
    assert told == {"A": {"run_id": "run", "id": 7, "turns": ["x"]}}

    for named in (True, False):
        assert state_for("A", told, named=named) == {"id": 7, "turns": ["x"]}
        assert state_for("B", told, named=named) is None
        assert state_for("A", first, named=named) is None


def test_a_part_goes_to_the_provider_that_is_named():
    part = {"run_id": "run", "id": 7, "of": {"B": {}}}
    assert state_for("A", part, named=True) == {"id": 7, "of": {"B": {}}}
    assert state_for("A", part, named=False) is None


def test_a_provider_may_speak_under_its_own_name_and_of_no_run():
    state = StateOfTurn("A", "run")
    assert state.merge(ConversationState(conversation={"A": {"id": 7, "run_id": "mine"}})).conversation == {
        "A": {"run_id": "run", "id": 7}
    }
    assert state.merge(ConversationState(conversation={"more": 1})).conversation == {
        "A": {"run_id": "run", "id": 7, "more": 1}
    }
    assert state.event().conversation is not state.event().conversation


@pytest.mark.parametrize("handed", [None, "x", 7, [], [{}], {}, {"A": "x"}, {"A": []}, {"B": {"id": 1}}])
def test_what_is_no_state_is_none(handed: Any):
    assert state_for("A", handed, named=True) is None
