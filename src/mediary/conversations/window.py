"""How much fits into a model's window: tokens, counted by bytes, rather too many than too few."""

from mediary.providers.base import Message, Part, Text

DEFAULT_TOKENS = 32_000
"""The window of a model of which nobody told."""
MEDIA_TOKENS = 1000
"""What a picture or a sound takes, roughly."""

BYTES_PER_TOKEN = 4
"""Of Latin script; of no text are there more."""
_OTHER_BYTES_PER_TOKEN = 2  # of what is no ASCII: an umlaut, or two thirds of a Chinese character


def count_tokens(text: str) -> int:
    """About how many tokens a text has for a model, whichever it is."""
    size = len(text.encode("utf-8", "replace"))
    other = 0 if size == len(text) else size - sum(map(str.isascii, text))
    return -(-(size - other) // BYTES_PER_TOKEN) - (-other // _OTHER_BYTES_PER_TOKEN)


def tokens_of(messages: tuple[Message, ...]) -> int:
    """About how many tokens messages have."""
    return sum(_tokens(part) for message in messages for part in message.parts)


def _tokens(part: Part) -> int:
    return count_tokens(part.text) if isinstance(part, Text) else MEDIA_TOKENS
