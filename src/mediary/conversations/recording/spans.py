"""A turn as a span, in the words of OpenTelemetry's conventions for generative AI, without a text of anybody."""

from urllib.parse import urlsplit

from mediary.conversations.recording.measure import Attempt, Measure
from mediary.tracing import Span, Value
from mediary.usage.tokens import read_tokens

_OUTPUTS = {"image": "image", "speech": "speech", "video": "video"}
_SYSTEMS = {
    "api.anthropic.com": "anthropic",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.openai.com": "openai",
    "generativelanguage.googleapis.com": "gcp.gemini",
}
"""The names that the conventions have for services; of others it is the operator's own."""


def turn_span(turn: str, measure: Measure) -> Span:
    """The span of a turn that is over, with those of the providers that were asked."""
    attributes = _asked(measure.provider, measure.model, measure.url)
    attributes |= {"mediary.turn.id": turn, "mediary.turn.outcome": measure.outcome}
    kinds = {kind for kind, _ in measure.made}
    attributes["gen_ai.output.type"] = _OUTPUTS[min(kinds)] if kinds and not measure.characters else "text"
    if measure.reason:
        attributes["gen_ai.response.finish_reasons"] = (measure.reason,)
    if measure.first is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = measure.first - measure.started
    tokens = read_tokens(measure.usage)
    told = {
        "input_tokens": tokens.prompt,
        "output_tokens": tokens.completion,
        "cache_read.input_tokens": tokens.saved,
        "cache_creation.input_tokens": tokens.written,
        "reasoning.output_tokens": tokens.reasoning,
    }
    attributes |= {f"gen_ai.usage.{name}": count for name, count in told.items() if count is not None}
    return Span(
        name=f"turn {measure.model}",
        began=measure.created,
        ended=measure.created + (measure.seconds or 0.0),
        attributes=attributes,
        error=measure.error,
        within=tuple(_attempt_span(attempt, measure) for attempt in measure.attempts),
    )


def _attempt_span(attempt: Attempt, measure: Measure) -> Span:
    ended = attempt.began if attempt.ended is None else attempt.ended
    return Span(
        name=f"chat {attempt.model}",
        kind="client",
        began=measure.created + attempt.began - measure.started,
        ended=measure.created + ended - measure.started,
        attributes=_asked(attempt.provider, attempt.model, attempt.url),
        error=attempt.error,
    )


def _asked(provider: str, model: str, url: str | None) -> dict[str, Value]:
    """Who is asked for what."""
    parts = urlsplit(url or "")
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _SYSTEMS.get(parts.hostname or "", provider),
        "gen_ai.request.model": model,
    }
    if parts.hostname:
        attributes["server.address"] = parts.hostname
        attributes["server.port"] = parts.port or (443 if parts.scheme == "https" else 80)
    return attributes
