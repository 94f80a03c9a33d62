"""Words of items and of searches, as they are compared, and which other words are probably the same one."""

from mediary.words import GRAMMAR, UNSPACED, words

LONGEST_TERM = 64
"""Characters of a word that count."""
MOST_TERMS = 400
"""Different words of a search that are looked up; a longer text is searched for by its first ones."""
SHORTEST_STEM = 3


def terms(text: str) -> list[str]:
    """The different words of a text, in the order in which they come first."""
    return list(dict.fromkeys(word[:LONGEST_TERM] for word in words(text)))


def telling(text: str) -> list[str]:
    """The words that a search asks for: words of grammar only where it has no other."""
    asked = terms(text)
    return ([word for word in asked if word not in GRAMMAR] or asked)[:MOST_TERMS]


def stem(word: str) -> str | None:
    """What a word begins with in most of its forms, whatever the language; None where a word has no forms.

    Two thirds of it: `allerg` of `allergies`, `cat` of `cats`.
    """
    if len(word) < SHORTEST_STEM or not word.isalpha() or UNSPACED.search(word):
        return None
    return word[: max(SHORTEST_STEM, -(-2 * len(word) // 3))]


def longest_form(word: str) -> int:
    """How many characters a word of the same stem may have to pass for a form of this one."""
    return len(word) + 3
