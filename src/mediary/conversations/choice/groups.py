"""Groups of models, as the setting `models` names them: asked for like a model, answered by the first that can."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from mediary.errors import SettingsError


@dataclass(slots=True, frozen=True)
class Member:
    """A model of a group, by the names of its provider and its own."""

    provider: str
    model: str


Groups = Mapping[str, tuple[Member, ...]]


def read_groups(setting: Mapping[str, Collection[str]], providers: Collection[str]) -> Groups:
    """The groups of the setting; SettingsError for an entry that is not `PROVIDER/model` with one of the providers."""
    return {group: tuple(_members(group, entries, providers)) for group, entries in setting.items()}


def _members(group: str, entries: Collection[str], providers: Collection[str]) -> Iterator[Member]:
    if not entries:
        raise SettingsError(f"setting models.{group}: a group needs a model, as PROVIDER/model")
    by_folded = {name.casefold(): name for name in providers}
    for entry in entries:
        name, _, model = entry.partition("/")
        if not (name and model):
            raise SettingsError(f"setting models.{group}: {entry!r} is not of the form PROVIDER/model")
        if name.casefold() not in by_folded:
            near = get_close_matches(name, providers, n=1)
            hint = f"did you mean {near[0]}/{model}?" if near else f"there are: {', '.join(providers)}"
            raise SettingsError(f"setting models.{group}: there is no provider {name!r}; {hint}")
        yield Member(by_folded[name.casefold()], model)
