"""Brings into a question what its user asked to keep and what bears on it; nothing is kept of the question itself."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from mediary.conversations.contexts.context import Added
from mediary.conversations.window import count_tokens
from mediary.errors import SettingsError
from mediary.events import Log
from mediary.memory.item import check_user
from mediary.memory.vectors import Placer
from mediary.providers.base import Embeds, Provider, Text, TurnRequest

if TYPE_CHECKING:
    from mediary.memory.item import MemoryItem
    from mediary.memory.room import Memory

SOURCE = "memory"
"""What the items come from, as the provider is told."""
_BEFORE = "What the user asked to be remembered, as far as it may bear on the question:\n"


class Remembering:
    """The memory as a context of conversations; `results` is how many items a question gets at most."""

    def __init__(self, memory: "Callable[[], Awaitable[Memory]]", results: int) -> None:
        self._memory = memory
        self._results = results

    def context(self, user: str) -> "Remembered":
        """The memory of one user; FieldError for a name that nobody's memory can have."""
        return Remembered(self._memory, check_user(user, "memory"), self._results)


class Remembered:
    """The memory of one user, as a `Context`."""

    def __init__(self, memory: "Callable[[], Awaitable[Memory]]", user: str, results: int) -> None:
        self._memory = memory
        self._user = user
        self._results = results

    async def bring(self, request: TurnRequest, tokens: int) -> AsyncGenerator[Log | Added, None]:
        """The items that bear on the question and fit, and how many they are."""
        memory = await self._memory()
        found = await memory.search(self._user, own_words(request), limit=self._results)
        lines = _fitting(found.items, tokens - count_tokens(_BEFORE))
        yield Log(log=f"from memory: {len(lines) or 'no'} item{'' if len(lines) == 1 else 's'}")
        if lines:
            yield Added((Text(_BEFORE + "\n".join(lines), source=SOURCE),))


def own_words(request: TurnRequest) -> str:
    """The text of the user's last message, without what was put into it."""
    for message in reversed(request.messages):
        if message.role == "user":
            return "\n".join(part.text for part in message.parts if isinstance(part, Text) and part.source is None)
    return ""


def placer(providers: Mapping[str, Provider], setting: str | None) -> Placer | None:
    """The model of the setting `memory.embeddings`, `NAME/model`; SettingsError if there is none that can do it."""
    if not setting:
        return None
    name, _, model = setting.partition("/")
    provider = next((known for key, known in providers.items() if key.casefold() == name.casefold()), None)
    if provider is None:
        there = ", ".join(providers) or "none"
        raise SettingsError(f"setting memory.embeddings: there is no provider {name!r}; there are: {there}")
    if not model:
        raise SettingsError(f"setting memory.embeddings: name a model as well, as {name}/model")
    if not isinstance(provider, Embeds):
        raise SettingsError(f"setting memory.embeddings: {provider.name} cannot place texts by meaning")
    return Placer(f"{provider.name}/{model}", provider, model)


def _fitting(items: "tuple[MemoryItem, ...]", tokens: int) -> list[str]:
    """The items that there is room for, the best first, a line each."""
    lines = []
    for item in items:
        line = f"- {' '.join(item.text.split())}"
        if (size := count_tokens(line) + 1) <= tokens:
            lines.append(line)
            tokens -= size
    return lines
