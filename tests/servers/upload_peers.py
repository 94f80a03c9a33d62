"""Every place to upload to, on loopback, with the settings that lead there and a way to read what lies there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.servers import anthropic, dashscope, gemini, lmarena, mistral, openai_files, openai_web, qwen, yupp

GUARD = '[net]\nallow = ["127.0.0.0/8"]\n'


@dataclass(frozen=True)
class Place:
    """A place: its table in the settings, and how a test reads a file there by what an upload's answer says of it."""

    table: str
    read: Callable[[dict[str, Any]], bytes]


@asynccontextmanager
async def all_peers() -> AsyncIterator[dict[str, Place]]:
    """All of them, by the names of their tables."""
    async with AsyncExitStack() as stack:
        web = await stack.enter_async_context(openai_web.openai_web())
        oss = await stack.enter_async_context(qwen.qwen_service())
        trpc = await asyncio.to_thread(stack.enter_context, yupp.running_yupp())
        arena = await asyncio.to_thread(stack.enter_context, lmarena.running_lmarena())
        openai = await stack.enter_async_context(openai_files.openai_files())
        ocr = await stack.enter_async_context(mistral.mistral())
        claude = await stack.enter_async_context(anthropic.small_anthropic())
        google = await stack.enter_async_context(gemini.gemini_peer())
        qwen_vl = await stack.enter_async_context(dashscope.dashscope_service())
        cookies = ", ".join(f'{name} = "{value}"' for name, value in lmarena.COOKIES[0].items())
        actions = ", ".join(f'{name} = "{value}"' for name, value in lmarena.ACTIONS.items())
        yield {
            "OpenAIWeb": Place(
                f'[uploads.OpenAIWeb]\nflow = "openai_web"\nbase_url = "{web.url}"\n'
                f'api_key = "{next(iter(openai_web.TOKENS))}"\nsettle_seconds = 0\n',
                lambda file: web.content(file["id"]),
            ),
            "Qwen": Place(
                f'[uploads.Qwen]\nflow = "qwen"\nbase_url = "http://127.0.0.1:{oss.port}"\napi_key = "{qwen.TOKEN}"\n',
                lambda file: oss.storage.objects[oss.files[file["id"]]].data,
            ),
            "Yupp": Place(
                f'[uploads.Yupp]\nflow = "yupp"\nbase_url = "{trpc.url}"\napi_key = "{yupp.TOKENS[0]}"\n',
                lambda file: trpc.content(file["attachmentId"].removeprefix("attachment-")),
            ),
            "LMArena": Place(
                f'[uploads.LMArena]\nflow = "lmarena"\nbase_url = "{arena.url}"\npage = "{lmarena.PAGE}"\n'
                f"cookies = {{ {cookies} }}\nactions = {{ {actions} }}\n",
                lambda file: arena.links.read(file["name"]),
            ),
            "OpenAI": Place(
                f'[providers.OpenAI]\nwire = "openai"\nbase_url = "{openai.url}/v1"\napi_key = "{openai_files.KEY}"\n'
                'models = ["gpt"]\nuploads = "openai_files"\n',
                lambda file: openai.contents[file["id"]],
            ),
            "Mistral": Place(
                f'[providers.Mistral]\nwire = "openai"\nbase_url = "{ocr.url}/v1"\napi_key = "{mistral.KEY}"\n'
                'models = ["small"]\nuploads = "mistral_files"\n',
                lambda _: list(ocr.contents.values())[-1],
            ),
            "Anthropic": Place(
                f'[providers.Anthropic]\nwire = "anthropic"\nbase_url = "{claude.base_url}"\n'
                f'api_key = "{anthropic.KEY}"\n',
                lambda file: claude.files[file["id"]].data,
            ),
            "DashScope": Place(
                f'[providers.DashScope]\nwire = "openai"\n'
                f'base_url = "http://127.0.0.1:{qwen_vl.port}/compatible-mode/v1"\napi_key = "{dashscope.KEY}"\n'
                'models = ["qwen-vl"]\nuploads = { flow = "dashscope", model = "qwen-vl", types = ["*"] }\n',
                lambda file: next(data for key, data in qwen_vl.kept.items() if key in str(file)),
            ),
            "Gemini": Place(
                f'[providers.Gemini]\nwire = "gemini"\nbase_url = "http://127.0.0.1:{google.port}/v1beta"\n'
                f'api_key = "{gemini.KEY}"\n',
                lambda file: next(each.data for each in google.files.values() if each.about["uri"] in str(file)),
            ),
        }
