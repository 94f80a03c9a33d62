"""Reads text out by a model that does nothing else: its voices, and the question that it is asked."""

from collections.abc import AsyncIterator, Iterable

from mediary.errors import FieldError, ModelNotFoundError, ProviderError
from mediary.events import Event, Media
from mediary.providers.base import Message, Model, Speaker, Spoken, Text, TurnRequest, Utterance, Voice
from mediary.providers.gemini.messages import DEFAULT_VOICE
from mediary.providers.http.voices import chosen_voice

LONGEST = 4000
"""Characters of one request: the sound of longer ones loses its tone, and takes minutes."""

# The service does not list them.
_NAMES = """
Achernar Achird Algenib Algieba Alnilam Aoede Autonoe Callirrhoe Charon Despina Enceladus Erinome Fenrir Gacrux Iapetus
Kore Laomedeia Leda Orus Puck Pulcherrima Rasalgethi Sadachbia Sadaltager Schedar Sulafat Umbriel Vindemiatrix Zephyr
Zubenelgenubi
"""
VOICES = tuple(Voice(name, name) for name in _NAMES.split())


def speaker_of(name: str, models: Iterable[Model], model: str | None, voice: str | None) -> Speaker:
    """Who speaks: the model, else the first that does so."""
    model = model or next((each.id for each in models if each.kind == "speech"), None)
    if model is None:
        raise ModelNotFoundError(f"{name} lists no model that speaks: name one in `model`")
    return Speaker(model, chosen_voice(name, VOICES, voice or DEFAULT_VOICE).id, LONGEST)


def question(name: str, utterance: Utterance) -> TurnRequest:
    """What to ask for: how it is to be said stands before what is said."""
    if utterance.speed != 1.0:
        raise FieldError("speed", f"{name} has no other than 1: say it in `instructions`, such as `Read slowly`")
    text = f"{utterance.manner}:\n{utterance.text}" if utterance.manner else utterance.text
    speaker = utterance.speaker
    return TurnRequest(speaker.model, (Message("user", (Text(text),)),), {"voice": speaker.voice})


async def read_out(name: str, answer: AsyncIterator[Event | Media]) -> Spoken:
    """The sound of an answer; it comes as a whole."""
    async for event in answer:
        if isinstance(event, Media) and isinstance(event.data, bytes) and event.content_type == "audio/wav":
            return Spoken("audio/wav", _one(event.data))
    raise ProviderError(f"{name}: answered with no sound")


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data
