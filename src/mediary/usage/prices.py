"""What turns cost by a dated table of public prices: what is not in it is unknown, and never guessed."""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from fnmatch import fnmatchcase
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from tomllib import TOMLDecodeError, loads
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator

from mediary.errors import SettingsError
from mediary.settings import Section
from mediary.usage.record import NANO, Cost, UsageRecord
from mediary.usage.tokens import Tokens, read_tokens

MILLION = 1_000_000
SHIPPED = "the price table of Mediary"
_TOOLS = ("tool_usage", "server_tool_use")
"""Where OpenAI and Anthropic count them."""

Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000)]


class TokenPrices(Section):
    """US dollars for a million tokens; of a kind that has no price of its own here, the price is unknown.

    Without `cached_input`, what came out of the provider's cache costs as much as any other input.
    """

    input: Dollars | None = None
    output: Dollars | None = None
    cached_input: Dollars | None = None
    cache_write: Dollars | None = None
    cache_write_long: Dollars | None = None
    audio_input: Dollars | None = None
    audio_output: Dollars | None = None
    image_input: Dollars | None = None
    image_output: Dollars | None = None


class LongPrompt(TokenPrices):
    """The prices of questions with more than so many tokens."""

    above: int = Field(ge=1)


class Price(TokenPrices):
    """What a service takes for some of its models, as of a date.

    `host` is that of its API; `since` and `until` are days of UTC. `picture`, `second` (of sound or video) and
    `million_characters` (of text that is spoken) are in US dollars. `told` names the number in the service's usage
    that says what a turn cost.
    """

    host: str = Field(min_length=1)
    models: tuple[str, ...] = Field(min_length=1)
    dated: date = Field(alias="date")
    source: str = Field(min_length=1)
    since: date | None = None
    until: date | None = None
    long_prompt: LongPrompt | None = None
    picture: Dollars | None = None
    second: Dollars | None = None
    million_characters: Dollars | None = None
    told: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Price":
        priced = (self.input, self.output, self.picture, self.second, self.million_characters, self.told)
        if all(one is None for one in priced):
            raise ValueError("says no price: input, output, picture, second, million_characters or told")
        return self

    def holds(self, host: str, model: str, day: date) -> bool:
        """Whether it is the price of a model, on that day."""
        return (
            self.host == host
            and (self.since or day) <= day <= (self.until or day)
            and any(fnmatchcase(model, pattern) for pattern in self.models)
        )


class PriceTable(Section):
    """The file: a list of prices, of which the first that fits counts."""

    prices: tuple[Price, ...]


class Prices:
    """Tells what turns cost. `path` is a table in the place of the shipped one; SettingsError if it cannot be used.

    What the providers `free` do, they do on this machine.
    """

    def __init__(self, path: Path | None = None, free: Collection[str] = ()) -> None:
        self._free = frozenset(free)
        self._replaced = None if path is None else read_table(_text(path), f"usage.prices: {path}")

    @cached_property
    def _table(self) -> PriceTable:
        if self._replaced is not None:
            return self._replaced
        shipped = files("mediary.usage").joinpath("prices.toml").read_text(encoding="utf-8")
        return read_table(shipped, SHIPPED)

    def cost(self, record: UsageRecord, url: str | None, asked: int | None = None) -> Cost | None:
        """What a turn cost with the service at that URL; None where that is not known.

        `asked` is how many characters the question had.
        """
        day = datetime.fromtimestamp(record.created, UTC).date()
        if record.provider in self._free:
            return Cost(0, day)
        host = _host(url)
        if host is None:
            return None
        price = next((one for one in self._table.prices if one.holds(host, record.model, day)), None)
        if price is None:
            return None
        dollars = _dollars(price, record, asked)
        return None if dollars is None or dollars >= MILLION else Cost(_nanos(dollars), price.dated)


def read_table(text: str, name: str) -> PriceTable:
    """The table in a TOML text; SettingsError names the line, or the entry and its key."""
    try:
        return PriceTable.model_validate(loads(text, parse_float=Decimal))
    except TOMLDecodeError as error:
        raise SettingsError(f"{name} is not TOML: {error}") from None
    except ValidationError as error:
        raise SettingsError("\n".join(f"{name}: {_explain(problem)}" for problem in error.errors())) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"usage.prices: {path} cannot be read: {error.__class__.__name__}") from None


def _explain(problem: Any) -> str:
    """`prices[3].input: …`."""
    place = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    return f"{place.lstrip('.') or 'the file'}: {problem['msg'].removeprefix('Value error, ')}"


def _host(url: str | None) -> str | None:
    """The host of a URL, with the port where it is not the usual one."""
    if not url:
        return None
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.hostname if parts.port in (None, usual) else f"{parts.hostname}:{parts.port}"


def _dollars(price: Price, record: UsageRecord, asked: int | None) -> Decimal | None:
    """The sum of all that is priced; None if one of the amounts or of the prices is not known."""
    if price.told is not None:
        return _told(record.usage.get(price.told))
    parts = list(_parts(price, record, asked))
    return None if None in parts else sum(filter(None, parts), Decimal(0))


def _parts(price: Price, record: UsageRecord, asked: int | None) -> Iterator[Decimal | None]:
    if price.input is not None or price.output is not None:
        yield None if _used_tools(record.usage) else _of_tokens(price, read_tokens(record.usage))
    if price.picture is not None:
        yield price.picture * record.pictures
    if price.second is not None:
        yield None if record.media_seconds is None else price.second * Decimal(str(record.media_seconds))
    if price.million_characters is not None:
        yield None if asked is None or record.outcome == "failed" else price.million_characters * asked / MILLION


def _used_tools(usage: Mapping[str, Any]) -> bool:
    """Whether the service used tools of its own, such as a web search, which it charges beside the tokens."""
    tools = (tool for name in _TOOLS if isinstance(told := usage.get(name), Mapping) for tool in told.values())
    counts = (count for tool in tools for count in (tool.values() if isinstance(tool, Mapping) else (tool,)))
    return any(isinstance(count, int | float) and count for count in counts)


def _of_tokens(price: Price, tokens: Tokens) -> Decimal | None:
    if tokens.prompt is None or tokens.completion is None:
        return None
    if tokens.saved and (tokens.heard or (tokens.seen and price.image_input is not None)):
        return None  # how much of the cached was sound or pictures, nobody told
    rates: TokenPrices = price
    if price.long_prompt and tokens.prompt > price.long_prompt.above:
        rates = price.long_prompt
    long = tokens.written_long or 0
    kinds = (
        (tokens.saved, rates.input if rates.cached_input is None else rates.cached_input),
        ((tokens.written or long) - long, rates.cache_write),
        (long, rates.cache_write_long),
        (tokens.heard, rates.audio_input),
        (tokens.seen, rates.input if rates.image_input is None else rates.image_input),
    )
    asked = _sum_of(tokens.prompt, rates.input, kinds)
    answered = _sum_of(
        tokens.completion, rates.output, ((tokens.spoken, rates.audio_output), (tokens.drawn, rates.image_output))
    )
    return None if asked is None or answered is None else asked + answered


def _sum_of(total: int, rate: Decimal | None, kinds: tuple[tuple[int | None, Decimal | None], ...]) -> Decimal | None:
    """Dollars of tokens, some of which have a price of their own; None if a price that is needed is not known."""
    dollars, rest = Decimal(0), total
    for count, own in kinds:
        if count:
            if own is None:
                return None
            dollars += own * count / MILLION
            rest -= count
    if rest < 0 or (rest and rate is None):
        return None
    return dollars + (rate or Decimal(0)) * rest / MILLION


def _told(value: Any) -> Decimal | None:
    """A sum of dollars in the words of a service."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        dollars = Decimal(str(value))
    except InvalidOperation:
        return None
    return dollars if dollars.is_finite() and 0 <= dollars < MILLION else None


def _nanos(dollars: Decimal) -> int:
    return int((dollars * NANO).quantize(Decimal(1), ROUND_HALF_EVEN))
