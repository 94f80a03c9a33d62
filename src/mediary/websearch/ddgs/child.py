"""Searches once with `ddgs`: the question in JSON on standard input, the answer on standard output.

It is started by its path, and imports nothing of Mediary.
"""

import json
import os
import sys
from typing import Any

from ddgs import DDGS
from ddgs.exceptions import DDGSException, TimeoutException

MOST = 20_000
"""Characters of one text."""
_NOTHING = "No results found."


def search(asked: dict[str, Any]) -> dict[str, Any]:
    """What was found, or the library's words on why nothing was."""
    library = DDGS(proxy=asked["proxy"], timeout=asked["timeout"])
    try:
        found = library.text(asked["query"], region=asked["region"], max_results=asked["results"])
    except TimeoutException:
        return {"error": "no search engine answered in time", "late": True}
    except DDGSException as error:
        words = " ".join(str(error).split())[:MOST]
        return {} if words == _NOTHING else {"error": words}
    return {"found": [[str(each.get(name) or "")[:MOST] for name in ("href", "title", "body")] for each in found]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(search(json.load(sys.stdin))))
    sys.stdout.flush()
    os._exit(0)  # without waiting for the threads of search engines that hang
