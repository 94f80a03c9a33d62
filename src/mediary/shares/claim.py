"""What somebody shows who wants to change a share."""

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Claim:
    """The server's key, where it has one, and edit tokens."""

    key: str | None = None
    tokens: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Claim(by_key={self.key is not None}, tokens={len(self.tokens)})"
