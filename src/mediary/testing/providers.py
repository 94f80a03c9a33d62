"""What every provider must do: subclass `ProviderContract`, give it a `provider` fixture (pytest, pytest-asyncio)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from mediary.errors import ProviderError
from mediary.events import Content, Event, Finish, Media, Reasoning, ToolCalls, Usage
from mediary.providers.base import Message, Model, Provider, Text, TurnRequest

UNKNOWN_MODEL = "mediary-contract-no-such-model"
MEDIA_KINDS = ("image", "audio", "video")
WORDS = ("amber", "birch", "cedar", "daisy", "ember", "fjord", "grove", "heron")


async def take(happening: AsyncIterator[Event | Media]) -> list[Event | Media]:
    """All of a turn; a stream of media is read where it comes, as it must be."""
    found = []
    async for event in happening:
        if isinstance(event, Media) and event.stream is not None:
            event.data, event.stream = b"".join([piece async for piece in event.stream]), None
        found.append(event)
    return found


@pytest.mark.asyncio
class ProviderContract:
    """The promises of `providers.base.Provider`, each a test.

    Override `provider`, and of the other fixtures those that do not fit; each says what it is.
    """

    @pytest.fixture
    def provider(self) -> Provider:
        """The provider under test, set up and able to answer."""
        pytest.fail("a provider's contract needs a `provider` fixture", pytrace=False)

    @pytest.fixture
    async def chat_request(self, provider: Provider) -> TurnRequest:
        """A question that is answered in text, by the provider's first model of that kind."""
        model = next(model.id for model in await provider.models() if model.kind == "chat")
        return TurnRequest(model=model, messages=(Message("user", (Text("Hello"),)),))

    @pytest.fixture
    def echo_request(self, chat_request: TurnRequest) -> Callable[[str], TurnRequest]:
        """Makes a question whose answer holds the given word, and none of the other `WORDS`."""

        def ask(word: str) -> TurnRequest:
            return replace(chat_request, messages=(Message("user", (Text(f"Repeat after me: {word}"),)),))

        return ask

    @pytest.fixture
    def long_request(self, chat_request: TurnRequest) -> TurnRequest:
        """A question whose answer goes on after its first piece."""
        return chat_request

    @pytest.fixture
    def media_request(self) -> TurnRequest | None:
        """A question whose answer is a picture or a sound."""
        return None

    @pytest.fixture
    def unknown_request(self, chat_request: TurnRequest) -> TurnRequest:
        """A question to a model that does not exist."""
        return replace(chat_request, model=UNKNOWN_MODEL)

    @pytest.fixture
    def secret(self) -> str | None:
        """The key that the provider holds."""
        return None

    @pytest.fixture
    def connections(self) -> Callable[[int], Awaitable[None]] | None:
        """Waits until so many connections to the service are open, and fails if that never comes."""
        return None

    async def test_it_says_who_it_is(self, provider: Provider) -> None:
        """Name, label, wire and a default are words, and nothing in its URL is for its own eyes."""
        words = [provider.name, provider.label, provider.wire]
        words += [] if provider.default_model is None else [provider.default_model]
        assert all(isinstance(word, str) and word for word in words)
        assert isinstance(provider.needs_key, bool)
        if provider.url is not None:
            url = urlsplit(provider.url)
            assert url.scheme in ("http", "https")
            assert (url.username, url.password, url.query, url.fragment) == (None, None, "", "")

    async def test_it_lists_its_models(self, provider: Provider) -> None:
        """At least one, none twice, the default first."""
        models = await provider.models()
        assert models
        assert all(isinstance(model, Model) and model.id for model in models)
        assert all(model.kind in ("chat", "image", "speech") and model.count >= 1 for model in models)
        names = [model.id for model in models]
        assert len(set(names)) == len(names)
        assert provider.default_model in (None, names[0])

    async def test_it_answers(self, provider: Provider, chat_request: TurnRequest) -> None:
        """Text comes, and one `Finish`, last of all."""
        found = await take(provider.converse(chat_request))
        assert "".join(event.content for event in found if isinstance(event, Content))
        _check_events(found)

    async def test_it_counts_as_numbers(self, provider: Provider, chat_request: TurnRequest) -> None:
        """Usage, where it is told, has three whole numbers, the names of model and provider, and stands once."""
        told = [event for event in await take(provider.converse(chat_request)) if isinstance(event, Usage)]
        assert len(told) <= 1
        for usage in told:
            counts = [usage.usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
            assert all(isinstance(count, int) and count >= 0 for count in counts)
            assert (usage.model, usage.provider) == (chat_request.model, provider.name)

    async def test_it_makes_media(self, provider: Provider, media_request: TurnRequest | None) -> None:
        """Media come with their kind and from one source, and none comes where none is made."""
        if media_request is None:
            assert {model.kind for model in await provider.models()} == {"chat"}, "give a `media_request`"
            return
        found = await take(provider.converse(media_request))
        assert any(isinstance(event, Media) for event in found)
        _check_events(found)

    async def test_it_refuses_an_unknown_model(self, provider: Provider, unknown_request: TurnRequest) -> None:
        """A failure is a `ProviderError` with words in it."""
        with pytest.raises(ProviderError) as caught:
            await take(provider.converse(unknown_request))
        assert str(caught.value).strip()

    async def test_it_holds_many_turns_at_once(
        self, provider: Provider, echo_request: Callable[[str], TurnRequest]
    ) -> None:
        """Turns that run together do not mix: each question has its own answer."""
        turns = await asyncio.gather(*(take(provider.converse(echo_request(word))) for word in WORDS))
        for word, turn in zip(WORDS, turns, strict=True):
            assert isinstance(turn[-1], Finish)
            text = "".join(event.content for event in turn if isinstance(event, Content)).casefold()
            assert [other for other in WORDS if other in text] == [word]

    async def test_it_lets_go_when_nobody_listens(
        self,
        provider: Provider,
        chat_request: TurnRequest,
        long_request: TurnRequest,
        connections: Callable[[int], Awaitable[None]] | None,
    ) -> None:
        """Closing the iterator in the middle of an answer closes the connection, and the next turn works."""
        # Every provider's iterator is a generator: what has no `aclose` could not let go.
        async with aclosing(cast("Any", provider.converse(long_request))) as happening:
            await anext(happening)
        if connections:
            await connections(0)
        assert await take(provider.converse(chat_request))

    async def test_it_lets_go_of_media_that_nobody_reads_on(
        self,
        provider: Provider,
        chat_request: TurnRequest,
        media_request: TurnRequest | None,
        connections: Callable[[int], Awaitable[None]] | None,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """A stream of media may be left after any piece: closing the turn closes it too, without a word."""
        if media_request is None:
            return
        async with aclosing(cast("Any", provider.converse(media_request))) as happening:
            async for event in happening:
                if isinstance(event, Media) and event.stream is not None:
                    await anext(aiter(event.stream))
                    break
        if connections:
            await connections(0)
        assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert await take(provider.converse(chat_request))

    async def test_it_keeps_its_key_to_itself(
        self, provider: Provider, unknown_request: TurnRequest, secret: str | None
    ) -> None:
        """No error and no `repr` holds the key, neither the provider's nor that of a request."""
        key = "sk-contract-key-of-a-request"
        shown = [repr(provider), repr(replace(unknown_request, api_key=key))]
        for request in (unknown_request, replace(unknown_request, api_key=key)):
            try:
                await take(provider.converse(request))
            except ProviderError as error:
                shown += [str(error), repr(error)]
        assert key not in "".join(shown)
        assert not secret or secret not in "".join(shown)

    async def test_it_closes_more_than_once(self, provider: Provider) -> None:
        """`close` may be called again."""
        await provider.close()
        await provider.close()


def _check_events(found: list[Event | Media]) -> None:
    """What holds for every good turn."""
    assert isinstance(found[-1], Finish)
    assert found[-1].finish.reason
    assert sum(isinstance(event, Finish) for event in found) == 1
    for event in found:
        match event:
            case Media():
                assert event.kind in MEDIA_KINDS
                assert sum(source is not None for source in (event.data, event.stream, event.url)) == 1
            case Reasoning():
                assert event.token or event.label or event.status
            case ToolCalls():
                assert event.tool_calls
                assert all(call.index >= 0 for call in event.tool_calls)
            case _:
                assert isinstance(event, Event)
