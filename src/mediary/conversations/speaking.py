"""Who reads text out: the provider that is asked for, or the first that can; and what that used."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, cast
from uuid import uuid4

from mediary.conversations.choice.directory import ANY, ProviderDirectory
from mediary.conversations.recording.recorder import Measured, Recorder
from mediary.errors import MediaryError, NotFoundError
from mediary.providers.base import Provider, Speaks

if TYPE_CHECKING:
    from mediary.speech.wanted import Wanted

STAND_IN = "gemini"
"""The provider that the existing web client asks for where nobody told it another, whether there is one or not."""


async def speaking_provider(providers: ProviderDirectory, name: str, model: str | None) -> tuple[str, Speaks]:
    """The provider and its name; NotFoundError says which can speak.

    `AnyProvider` is the first that lists a model that speaks, or the one that was asked for.
    """
    if name.casefold() == ANY.casefold():
        return await _any(providers, model)
    if name.casefold() == STAND_IN and not await can_speak(providers, STAND_IN):
        return await _any(providers, None)
    found = providers.get(name)
    if not isinstance(found, Speaks):
        able = ", ".join(provider.name for provider in providers if isinstance(provider, Speaks))
        raise NotFoundError(f"{found.name} does not speak; these may: {able or 'none that is configured'}")
    return found.name, found


async def _any(providers: ProviderDirectory, model: str | None) -> tuple[str, Speaks]:
    for provider in providers:
        if isinstance(provider, Speaks) and await _lists(providers, provider, model):
            return provider.name, cast("Speaks", provider)
    wanted = f"with the model {model[:100]!r}" if model else "that is configured"
    raise NotFoundError(f"there is no provider {wanted} that speaks")


async def can_speak(providers: ProviderDirectory, name: str) -> bool:
    """Whether there is a provider of that name, in any case, with a model that speaks."""
    for provider in providers:
        if provider.name.casefold() == name.casefold() and isinstance(provider, Speaks):
            return await _lists(providers, provider, None)
    return False


async def _lists(providers: ProviderDirectory, provider: Provider, model: str | None) -> bool:
    models = await providers.models_of(provider, None, None)
    return any(each.kind == "speech" and model in (None, each.id) for each in models)


def recorded(recorder: Recorder, providers: ProviderDirectory) -> "Callable[[Wanted], AbstractContextManager[None]]":
    """What is to be done around each making of speech: it stands in the ledger as a turn does."""

    @contextmanager
    def around(wanted: "Wanted") -> Iterator[None]:
        measure = recorder.begin(wanted.who, wanted.speaker.model, asked=len(wanted.text))
        measure.url = providers.get(wanted.who).url
        measure.made.append(("speech", ""))  # no item of the library
        try:
            yield
            measure.outcome = "finished"
        except MediaryError as error:
            measure.error = type(error).__name__
            raise
        except asyncio.CancelledError:
            measure.leave()
            raise
        finally:
            recorder.record(Measured(uuid4().hex, None, measure))

    return around
