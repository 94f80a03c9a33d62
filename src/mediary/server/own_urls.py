"""URLs of this very server: some clients write its address before the path of a kept file."""

import re

from mediary.conversations.request import ConversationRequest

_KEPT = re.compile(r"https?://([^/?#]+)(/(?:media|images|files)/.*)", re.IGNORECASE | re.DOTALL)


def as_path(url: str, host: str) -> str:
    """The path of a kept file, if the URL leads to one on the server that the client calls `host`; else the URL."""
    found = _KEPT.fullmatch(url)
    return found[2] if found and host and found[1].lower() == host.lower() else url


def use_paths(request: ConversationRequest, host: str) -> None:
    """Put paths in the place of such URLs in the messages of a request: what lies here need not be fetched."""
    for message in request.messages or ():
        for part in message.content if isinstance(message.content, list) else ():
            match part:
                case {"image_url": {"url": str(url)}}:
                    part["image_url"]["url"] = as_path(url, host)
                case {"image_url": str(url)}:
                    part["image_url"] = as_path(url, host)
