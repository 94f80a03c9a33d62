"""Counts of tokens under the names that everybody expects."""

from typing import Any


def count_tokens(usage: dict[str, Any]) -> dict[str, Any]:
    """A service's usage with the three counts that everybody expects, as numbers; its further counts stay."""
    prompt = _count(usage, "prompt_tokens", "input_tokens")
    completion = _count(usage, "completion_tokens", "output_tokens")
    total = _count(usage, "total_tokens") or prompt + completion
    return usage | {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}


def _count(usage: dict[str, Any], *names: str) -> int:
    for name in names:
        try:
            return int(float(usage[name]))
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
    return 0
