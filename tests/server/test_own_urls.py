"""URLs of this very server are paths, and those of others stay what they are."""

import msgspec
import pytest

from mediary.conversations.request import decode_request
from mediary.server.own_urls import as_path, use_paths

HOST = "localhost:8080"


@pytest.mark.parametrize("kept", ["/media/x.png", "/images/x.png", "/files/b/media/x.png", "/media/x.png?a=/b#c"])
@pytest.mark.parametrize("address", ["http://localhost:8080", "https://LocalHost:8080", "HTTP://localhost:8080"])
def test_what_lies_here_is_a_path(kept: str, address: str) -> None:
    assert as_path(f"{address}{kept}", HOST) == kept


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://localhost/media/x.png", HOST),
        ("http://localhost:80801/media/x.png", HOST),
        ("http://user@localhost:8080/media/x.png", HOST),
        ("http://localhost:8080@example.com/media/x.png", HOST),
        ("http://example.com/?http://localhost:8080/media/x.png", HOST),
        ("http://localhost:8080/backend-api/v2/models", HOST),
        ("http://localhost:8080/medial", HOST),
        ("file://localhost:8080/media/x.png", HOST),
        ("/media/x.png", HOST),
        ("http:///media/x.png", ""),
        ("http://x/media/x.png", ""),
        ("", ""),
    ],
)
def test_everything_else_stays(url: str, host: str) -> None:
    assert as_path(url, host) == url


def test_pictures_of_messages_are_found_in_either_form() -> None:
    url = f"http://{HOST}/media/x.png"
    parts = [{"image_url": {"url": url, "detail": "low"}}, {"image_url": url}, {"text": url}]
    request = decode_request(msgspec.json.encode({"messages": [{"role": "user", "content": parts}]}))
    use_paths(request, HOST)
    assert request.messages
    assert request.messages[0].content == [
        {"image_url": {"url": "/media/x.png", "detail": "low"}},
        {"image_url": "/media/x.png"},
        {"text": url},
    ]
