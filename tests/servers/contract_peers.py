"""Providers of every manner, on loopback, with the settings that lead to them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.servers import openai_files, openai_responses, openai_videos
from tests.servers.aimock import KEY, running_aimock
from tests.servers.background import in_background
from tests.servers.narrator import Narrator, narrator
from tests.servers.refusing import refusing

_ONE = 'models = ["m"]\n'
_FILES = 'models = ["gpt"]\nuploads = "openai_files"\n'
_STUDIO = f'default_model = "{openai_responses.PLAIN}"\nvision_models = ["{openai_responses.PLAIN}"]\n'


@dataclass(frozen=True)
class Peers:
    """The providers; `aimock` and `refusing` are URLs."""

    settings: str
    aimock: str
    refusing: str
    narrator: Narrator


@contextmanager
def contract_peers() -> Iterator[Peers]:
    """All of them, while the block lasts."""
    with ExitStack() as stack:
        aimock = stack.enter_context(running_aimock()).base_url
        no = stack.enter_context(in_background(refusing()))
        files = stack.enter_context(in_background(openai_files.openai_files()))
        studio = stack.enter_context(in_background(openai_responses.small_openai()))
        films = stack.enter_context(in_background(openai_videos.videos_peer()))
        tale = stack.enter_context(narrator())
        tables = [
            _table("Aimock", aimock, KEY, 'default_model = "gpt-4o"\nvision_models = ["gpt-4o"]\n'),
            *(_table(f"Says{status}", f"{no}/{status}/v1", "k", _ONE) for status in (400, 401, 429, 500)),
            _table("Silent", f"{no}/silent/v1", "k", _ONE),
            _table("Files", f"{files.url}/v1", openai_files.KEY, _FILES),
            _table("Refused", f"{no}/400/v1", "k", _FILES),
            _table("Unauthorised", f"{no}/401/v1", "k", _FILES),
            _table("Limited", f"{no}/429/v1", "k", _FILES),
            _table("Studio", studio.base_url, openai_responses.KEY, _STUDIO, wire="openai_responses"),
            _table("Films", films.base_url, openai_videos.KEY, 'models = ["sora-2"]\n'),
            tale.settings,
            '[models]\nshaky = ["Says500/m", "Local/passages"]\n',
        ]
        yield Peers('[net]\nallow = ["127.0.0.0/8"]\ntimeout = 2\n' + "".join(tables), aimock, no, tale)


def _table(name: str, base_url: str, key: str, more: str, wire: str = "openai") -> str:
    return f'[providers.{name}]\nwire = "{wire}"\nbase_url = "{base_url}"\napi_key = "{key}"\n{more}'
