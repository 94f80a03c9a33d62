"""Which items come first: what words weigh, and how a ranking by words and one by meaning become one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST_POSTINGS = 6000
"""Items that are looked up for the rarest words of a search together; commoner words only decide among those."""
FORM = 0.4
"""What another form of a word weighs, of what the word itself would."""
_USUAL_LENGTH = 32
_FLATTENING = 60  # of reciprocal rank fusion, as in the paper that found it


@dataclass(slots=True, frozen=True)
class Asked:
    """A word that items are looked up by: `items` is how many of the user's have it."""

    word: str
    items: int
    weight: float


@dataclass(slots=True, frozen=True)
class Plan:
    """How items are found: any of the `rare` words brings one in; the `common` ones then count, too."""

    rare: tuple[Asked, ...] = ()
    common: tuple[Asked, ...] = ()


def rarity(items: int, of: int) -> float:
    """What a word weighs that so many items have, of so many in all: more than nothing, and less the more have it."""
    return math.log(1 + (max(of, items) - items + 0.5) / (items + 0.5))


def make_plan(known: Mapping[str, int], forms: Mapping[str, int], of: int) -> Plan:
    """The plan for words and their other forms, each with the number of items that have it, of so many in all."""
    asked = [Asked(word, items, rarity(items, of)) for word, items in known.items()]
    asked += [Asked(word, items, FORM * rarity(items, of)) for word, items in forms.items() if word not in known]
    rare: list[Asked] = []
    common: list[Asked] = []
    looked_up = 0
    for each in sorted(asked, key=lambda each: (each.items, each.word)):
        looked_up += each.items
        (rare if not rare or looked_up <= MOST_POSTINGS else common).append(each)
    return Plan(tuple(rare), tuple(common))


def by_length(weight: float, length: int) -> float:
    """The weight of what was found in an item of so many different words: the same words say more in a short one."""
    return weight / (1 + math.log1p(length / _USUAL_LENGTH) / 4)


def fuse(*rankings: Sequence[int]) -> list[tuple[int, float]]:
    """One ranking of several, by reciprocal ranks, each with a score: 1 for what is first in all of them."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for place, item in enumerate(ranking):
            scores[item] = scores.get(item, 0.0) + (_FLATTENING + 1) / (_FLATTENING + 1 + place) / len(rankings)
    return sorted(scores.items(), key=lambda pair: (-pair[1], -pair[0]))
