"""What services tell of credit and limits: where they are asked, and what becomes of it."""

import pytest
from tests.net.names import Names, client_with
from tests.providers.conftest import Make, _made
from tests.servers.scripted import Scripted, said, whole

from mediary.errors import MissingAuthError, ProviderError, RateLimitError
from mediary.providers.base import TellsQuota
from mediary.providers.openai.provider import OpenAI

KEY = "sk-key-of-the-operator"
CREDITS = {"total_credits": 100.5, "total_usage": 25.75}
LIMITS = {"label": "sk-or-v1-…", "limit": None, "limit_remaining": None, "usage": 25.75, "is_free_tier": False}
BALANCE = {"is_available": True, "balance_infos": [{"currency": "USD", "total_balance": "110.00"}]}


async def told(service: Scripted, host: str, path: str, api_key: str | None = None):
    async with client_with(Names(**{host.replace(".", "_"): [["127.0.0.1"]]})) as http:
        provider = _made(http, OpenAI, "openai", f"http://{host}:{service.port}{path}", api_key=KEY)
        assert isinstance(provider, TellsQuota)
        return await provider.quota(api_key)


async def test_openrouter(service: Scripted):
    service.play(said({"data": CREDITS}), said({"data": LIMITS}))
    assert await told(service, "openrouter.ai", "/api/v1") == CREDITS | LIMITS
    assert [asked.path for asked in service.asked] == ["/api/v1/credits", "/api/v1/key"]
    assert {asked.headers["authorization"] for asked in service.asked} == {f"Bearer {KEY}"}


async def test_a_key_that_may_not_see_everything(service: Scripted):
    forbidden = said({"error": {"message": "Only management keys can fetch credits", "code": 403}}, 403)
    service.play(forbidden, said({"data": LIMITS}))
    assert await told(service, "openrouter.ai", "/api/v1") == LIMITS
    service.play(forbidden)
    with pytest.raises(MissingAuthError, match="management keys"):
        await told(service, "openrouter.ai", "/api/v1")


async def test_deepseek_with_a_key_of_the_request(service: Scripted):
    service.play(said(BALANCE))
    assert await told(service, "api.deepseek.com", "/v1", "sk-of-the-request") == BALANCE
    assert service.asked[0].path == "/user/balance"
    assert service.asked[0].headers["authorization"] == "Bearer sk-of-the-request"


async def test_moonshot(service: Scripted):
    service.play(said({"code": 0, "data": {"available_balance": 49.58}, "scode": "0x0", "status": True}))
    assert await told(service, "api.moonshot.ai", "/v1") == {"available_balance": 49.58}
    assert service.asked[0].path == "/v1/users/me/balance"


async def test_services_that_tell_nothing_are_not_asked(make: Make, service: Scripted):
    assert await make(service.base_url).quota() is None
    assert service.asked == []


@pytest.mark.parametrize("body", [b"", b"[]", b"<title>Oops</title>", b'{"a":' + b"[" * 100_000])
async def test_answers_that_cannot_be_read(service: Scripted, body: bytes):
    service.play(whole(body))
    with pytest.raises(ProviderError, match="cannot be read"):
        await told(service, "api.deepseek.com", "/v1")


async def test_a_service_that_is_asked_too_often(service: Scripted):
    service.play(said({"error": {"message": "Slow down"}}, 429, "Retry-After: 30"))
    with pytest.raises(RateLimitError):
        await told(service, "openrouter.ai", "/api/v1")
