"""What every flow makes of a service that refuses, or takes its time, at its first question."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.clock import Jump, jump
from tests.servers.scripted import Asked, Line, Scripted, said, scripted

from mediary import plugins
from mediary.errors import MissingAuthError, ProviderError, ProviderUnavailableError, RateLimitError
from mediary.net.client import HttpClient
from mediary.settings import UploadSettings
from mediary.testing.uploads import make_file
from mediary.uploads.base import Credentials, Flow
from mediary.uploads.senders.multipart_form import MultipartForm

__all__ = ["jump"]

KEY = "key-of-ann-0123456789"
COOKIE = "c00kie-of-ann-0123456789"
OWN: dict[str, dict[str, Any]] = {
    "openai_web": {"settle_seconds": 0},
    "qwen": {},
    "yupp": {},
    "lmarena": {"actions": {"generate_upload_url": "a1", "get_signed_url": "a2"}},
    "openai_files": {},
    "anthropic_files": {},
    "gemini_files": {},
    "mistral_files": {},
    "dashscope": {"model": "qwen-vl"},
}
PROOFS = ("authorization", "cookie", "x-api-key", "x-goog-api-key")
FILE = make_file(b"hello", "a.png")


@pytest.fixture
async def service() -> AsyncIterator[Scripted]:
    async with scripted() as service:
        yield service


@pytest.fixture(params=OWN)
def flow(request: pytest.FixtureRequest, http: HttpClient, service: Scripted) -> Flow[Any]:
    name = request.param
    cookies = {"session": COOKIE} if name == "lmarena" else {}
    table = UploadSettings(flow=name, base_url=service.origin, api_key=KEY, cookies=cookies, **OWN[name])
    made: Flow[Any] = plugins.load("uploads", name)("Web", table, http)
    return made


async def ask(flow: Flow[Any]) -> None:
    """Ask the first thing that is asked of the service: for a ticket, or to take the form."""
    ticket = await flow.ticket(FILE, flow.account(Credentials()), None)
    if isinstance(ticket.sender, MultipartForm) and ticket.sender.account:
        await ticket.sender.send(flow.transport, FILE, lambda _: None)


def test_no_flow_is_left_out():
    assert set(OWN) == set(plugins.registered("uploads"))


@pytest.mark.parametrize(
    ("status", "kind"), [(401, MissingAuthError), (403, MissingAuthError), (429, RateLimitError), (400, ProviderError)]
)
async def test_it_is_told_in_the_services_words_and_without_a_credential(
    flow: Flow[Any], service: Scripted, status: int, kind: type[ProviderError]
):
    async def play(asked: Asked, line: Line) -> None:
        shown = [asked.headers[name] for name in PROOFS if name in asked.headers]
        assert shown
        words = f"not with {shown}, see https://h.example/a?sig=c2ln"
        await said({"error": {"message": words, "code": "no"}}, status, "Retry-After: 7")(asked, line)

    service.play(play)
    with pytest.raises(kind) as caught:
        await ask(flow)
    assert len(service.asked) == 1
    assert getattr(caught.value, "retry_after", 7.0) == 7.0
    assert "not with" in str(caught.value)
    for hidden in (KEY, COOKIE, "c2ln"):
        assert hidden not in f"{caught.value}{caught.value!r}"


@pytest.mark.usefixtures("no_delays")
async def test_a_service_that_is_down(flow: Flow[Any], service: Scripted):
    service.play(said({"error": {"message": "away", "code": "no"}}, 503))
    with pytest.raises(ProviderUnavailableError):
        await ask(flow)


async def test_an_answer_after_half_a_minute_is_an_answer(flow: Flow[Any], service: Scripted, jump: Jump):
    asked, answering = asyncio.Event(), asyncio.Event()

    async def play(request: Asked, line: Line) -> None:
        asked.set()
        await answering.wait()
        await said({"error": {"message": "too late?", "code": "no"}}, 429)(request, line)

    service.play(play)
    asking = asyncio.create_task(ask(flow))
    await asked.wait()
    jump(30.0)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not asking.done()
    answering.set()
    with pytest.raises(RateLimitError):
        await asking
