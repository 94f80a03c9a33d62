"""Who rests, and for how long; by a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.conversations.choice.resting import (
    FAILURES,
    FIRST_SECONDS,
    LONGEST_SECONDS,
    TRIAL_SECONDS,
    WITHIN_SECONDS,
    Resting,
)
from mediary.errors import (
    MediaryError,
    MissingAuthError,
    ModelNotFoundError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
    TooLargeError,
)

DOWN = ProviderUnavailableError("down")


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def resting(clock: Clock) -> Resting:
    return Resting(clock)


def fail(resting: Resting, times: int = FAILURES) -> None:
    for _ in range(times):
        resting.failed("A", DOWN)


def test_three_failures_in_a_row_are_enough(resting: Resting, clock: Clock):
    fail(resting, FAILURES - 1)
    assert resting.lets_pass("A")
    fail(resting, 1)
    assert not resting.lets_pass("A")
    assert resting.lets_pass("B")
    clock.time += FIRST_SECONDS
    assert resting.lets_pass("A")


def test_failures_that_are_far_apart_are_not_in_a_row(resting: Resting, clock: Clock):
    for _ in range(10):
        fail(resting, FAILURES - 1)
        clock.time += WITHIN_SECONDS
    assert not resting.rests("A")


def test_an_answer_between_them_begins_the_count_anew(resting: Resting):
    for _ in range(10):
        fail(resting, FAILURES - 1)
        resting.finished("A")
    assert not resting.rests("A")


def test_after_a_rest_one_turn_tries(resting: Resting, clock: Clock):
    fail(resting)
    clock.time += FIRST_SECONDS
    assert [resting.lets_pass("A") for _ in range(3)] == [True, False, False]
    resting.began("A")
    assert [resting.lets_pass("A") for _ in range(3)] == [True, True, True]


def test_a_turn_that_tries_and_is_never_heard_of_is_not_the_last(resting: Resting, clock: Clock):
    fail(resting)
    clock.time += FIRST_SECONDS
    assert resting.lets_pass("A")
    clock.time += TRIAL_SECONDS
    assert [resting.lets_pass("A") for _ in range(2)] == [True, False]


def test_each_rest_is_twice_as_long_up_to_five_minutes(resting: Resting, clock: Clock):
    fail(resting)
    lengths = []
    for _ in range(7):
        began = clock.time
        while resting.rests("A"):
            clock.time += 0.5
        lengths.append(clock.time - began)
        assert resting.lets_pass("A")
        fail(resting, 1)
    assert lengths == [15, 30, 60, 120, 240, 300, 300]
    assert LONGEST_SECONDS == 300


def test_an_answer_that_breaks_off_after_a_rest_is_another_rest(resting: Resting, clock: Clock):
    fail(resting)
    clock.time += FIRST_SECONDS
    assert resting.lets_pass("A")
    resting.began("A")
    resting.failed("A", StreamInterruptedError("broke off"))
    assert resting.rests("A")
    clock.time += 2 * FIRST_SECONDS - 1
    assert resting.rests("A")


def test_what_was_under_way_makes_no_rest_longer(resting: Resting, clock: Clock):
    fail(resting, 100)
    clock.time += FIRST_SECONDS
    assert not resting.rests("A")


def test_a_limit_says_itself_how_long(resting: Resting, clock: Clock):
    resting.failed("A", RateLimitError("slow down", 2.0))
    assert resting.rests("A")
    clock.time += 2.0
    assert not resting.rests("A")
    resting.failed("B", RateLimitError("slow down", 86_400.0))
    clock.time += LONGEST_SECONDS
    assert not resting.rests("B")
    resting.failed("C", RateLimitError("slow down"))
    assert not resting.rests("C")


@pytest.mark.parametrize("error", [ProviderError("no"), ModelNotFoundError("no"), TooLargeError("no")])
def test_a_refusal_says_nothing_of_the_provider(resting: Resting, error: MediaryError):
    for _ in range(10):
        resting.failed("A", error)
    assert not resting.rests("A")


def test_a_wrong_key_does(resting: Resting):
    for _ in range(FAILURES):
        resting.failed("A", MissingAuthError("no"))
    assert resting.rests("A")


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["pass", "began", "finished", "down", "limit"]),
        st.floats(0, 400).map(lambda seconds: seconds),
    )
)


@given(STEPS)
def test_nobody_rests_for_ever(steps: list[str | float]):
    clock = Clock()
    resting = Resting(clock)
    for step in steps:
        match step:
            case "pass":
                resting.lets_pass("A")
            case "began":
                resting.began("A")
            case "finished":
                resting.finished("A")
            case "down":
                resting.failed("A", DOWN)
            case "limit":
                resting.failed("A", RateLimitError("slow down", 100.0))
            case float(seconds):
                clock.time += seconds
    clock.time += LONGEST_SECONDS
    assert not resting.rests("A")
    assert resting.lets_pass("A")
    resting.finished("A")
    assert all(resting.lets_pass("A") for _ in range(3))
