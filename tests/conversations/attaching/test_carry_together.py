"""What the files of one question have together, where each alone could stand in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.conversations.questions import PDF, Answer, ask, serving
from tests.servers.gemini import KEY, GeminiPeer, gemini_peer

MIB = 1024**2


@asynccontextmanager
async def asked(folder: Path, sizes: tuple[int, ...], more: str = "") -> AsyncIterator[tuple[Answer, GeminiPeer]]:
    """A question with documents of these sizes, to a provider without uploads."""
    files = {f"{number}.pdf": PDF.ljust(size, b" ") for number, size in enumerate(sizes)}
    async with gemini_peer() as peer:
        provider = f'[providers.Gemini]\nwire = "gemini"\nbase_url = "{peer.base_url}"\napi_key = "{KEY}"\n'
        settings = f'{more}\n{provider}default_model = "gemini-flash"\nmodels = ["gemini-flash"]\nuploads = "inline"\n'
        async with serving(folder, settings) as server:
            yield await ask(server, files), peer


async def test_what_fits_into_a_request_is_sent(tmp_path: Path):
    async with asked(tmp_path, (13 * MIB, MIB)) as (answer, _):
        assert answer.text == f"What is it?; application/pdf of {13 * MIB} bytes; application/pdf of {MIB} bytes"


async def test_more_than_a_request_may_have_is_refused_at_once(tmp_path: Path):
    async with asked(tmp_path, (8 * MIB, 8 * MIB)) as (answer, peer):
        assert (answer.status, answer.error["code"]) == (413, "too_large")
        assert f"Gemini takes {14 * MIB} bytes of files within a question" in answer.error["message"]
        assert peer.asked == []


async def test_the_limit_of_the_settings_is_named_where_it_is_the_lower(tmp_path: Path):
    more = f"[conversation]\nmax_attachment_bytes = {9 * MIB}\n"
    async with asked(tmp_path, (5 * MIB, 5 * MIB), more) as (answer, peer):
        assert answer.status == 413
        assert f"{9 * MIB} bytes together (conversation.max_attachment_bytes)" in answer.error["message"]
        assert peer.asked == []
