"""What is counted of a turn as its events pass."""

import pytest

from mediary.conversations.recording.measure import Looks, Measure
from mediary.conversations.recording.spans import turn_span
from mediary.events import (
    Auth,
    Content,
    Event,
    Failure,
    Finish,
    FinishReason,
    Log,
    Parameters,
    ProviderChosen,
    ProviderInfo,
    Reasoning,
    Usage,
)


def chosen(name: str, model: str = "m", url: str | None = None) -> ProviderChosen:
    return ProviderChosen(provider=ProviderInfo(name=name, label=name, url=url, model=model))


def seen(*events: Event) -> Measure:
    measure = Measure("A", "m")
    for event in events:
        measure.see(event)
    measure.end()
    return measure


def test_who_answered_last_is_who_answered():
    measure = seen(chosen("A"), Log(log="A is down"), chosen("B", "n", "https://b.example/v1"), Content(content="Hi"))
    assert (measure.provider, measure.model, measure.url) == ("B", "n", "https://b.example/v1")
    first, second = measure.attempts
    assert (first.provider, first.error, second.provider, second.error) == ("A", "_OTHER", "B", None)
    assert first.ended and second.ended
    assert first.began <= first.ended <= second.began <= second.ended


def test_what_one_that_failed_used_is_not_charged_to_the_next():
    told = Usage(usage={"prompt_tokens": 900, "completion_tokens": 0}, model="m", provider="A")
    record = seen(chosen("A"), told, chosen("B"), Content(content="Hi")).record("t", None)
    assert (record.provider, record.prompt_tokens, record.usage) == ("B", None, {})


@pytest.mark.parametrize("event", [Parameters(parameters={}), Log(log="x"), Reasoning(label="Video", status="3 %")])
def test_word_of_what_goes_on_is_no_answer(event: Event):
    assert seen(chosen("A"), event).record("t", None).first_token_ms is None


@pytest.mark.parametrize("event", [Content(content="x"), Reasoning(token="x")])
def test_the_first_piece_has_a_time(event: Event):
    record = seen(chosen("A"), event).record("t", None)
    assert 0 <= (record.first_token_ms or -1) <= (record.duration_ms or -1)


def test_media_are_counted_by_their_kind_and_are_no_text():
    picture = Content(content="[![a](/media/a.png)](/media/a.png)", urls=["/media/a.png", "/media/b.png"])
    sound = Content(content='<audio controls src="/media/a.mp3"></audio>', urls=["/media/a.mp3"])
    record = seen(picture, sound).record("t", None, Looks(99, 1.5))
    assert (record.media, record.pictures, record.characters, record.kind) == (3, 2, 0, "image")
    assert (record.media_bytes, record.media_seconds) == (99, 1.5)
    assert seen(sound).record("t", None).kind == "speech"
    assert seen(sound, Content(content="and words")).record("t", None).kind == "chat"


@pytest.mark.parametrize(
    ("events", "outcome", "error"),
    [
        ([Finish(finish=FinishReason(reason="stop"))], "finished", None),
        ([Failure(error="RateLimitError", message="slow")], "failed", "RateLimitError"),
        ([Auth(auth="MissingAuthError", message="who?")], "failed", "MissingAuthError"),
        ([], "failed", None),
    ],
)
def test_how_it_ended(events: list[Event], outcome: str, error: str | None):
    record = seen(*events).record("t", None)
    assert (record.outcome, record.error) == (outcome, error)


def test_of_a_turn_that_broke_off_no_times_are_known():
    measure = seen(Content(content="Hi"))
    measure.interrupt()
    record = measure.record("t", "ann")
    assert (record.outcome, record.first_token_ms, record.duration_ms) == ("interrupted", None, None)


def test_the_span_of_a_turn_tells_counts_and_no_words():
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}}
    span = turn_span(
        "t1",
        seen(
            chosen("A", "m", "https://api.openai.com/v1"),
            Content(content="a secret"),
            Usage(usage=usage, model="m", provider="A"),
            Failure(error="ProviderError", message="a secret"),
        ),
    )
    assert span.error == "ProviderError"
    assert span.attributes["gen_ai.provider.name"] == "openai"
    assert (span.attributes["server.address"], span.attributes["server.port"]) == ("api.openai.com", 443)
    assert span.attributes["gen_ai.usage.cache_read.input_tokens"] == 2
    [asked] = span.within
    assert (asked.kind, asked.error) == ("client", "ProviderError")
    assert span.began <= asked.began <= asked.ended <= span.ended + 0.001
    assert "secret" not in str(span)
