"""How a picture was made, as the tools that make pictures write it into them: one small reader for each tool.

A reader gets the texts of a file by their keywords and answers with what it understood, or None if they are not its
own. None of them raises, whatever the texts are.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mediary.media.decoding.comfyui import read_graph

MAX_PROMPT = 20_000
MAX_NAME = 300
MAX_SETTINGS = 100_000

Texts = Mapping[str, str]


@dataclass(slots=True, frozen=True, kw_only=True)
class Generation:
    """What is known of the making of a picture; `seed` is text, for some have more than 64 bits."""

    prompt: str = ""
    negative_prompt: str = ""
    model: str | None = None
    seed: str | None = None
    steps: int | None = None
    generator: str | None = None


def read_generation(texts: Texts) -> Generation | None:
    """What the first reader that knows these texts makes of them."""
    texts = _unwrapped(texts)
    for reader in _READERS:
        if (found := reader(texts)) is not None:
            return found
    return None


def make_generation(
    prompt: object = "",
    negative: object = "",
    model: object = None,
    seed: object = None,
    steps: object = None,
    generator: object = None,
) -> Generation:
    """A Generation out of values of any type: those that make no sense are left out."""
    return Generation(
        prompt=clean_text(prompt, MAX_PROMPT),
        negative_prompt=clean_text(negative, MAX_PROMPT),
        model=model_name(clean_text(model, MAX_NAME)) or None,
        seed=_digits(seed),
        steps=int(number) if (number := _digits(steps)) and len(number) < 7 and int(number) > 0 else None,
        generator=clean_text(generator, MAX_NAME) or None,
    )


def model_name(model: str) -> str:
    """A model's name without its folders and the extension of its file."""
    name = re.split(r"[\\/]", model)[-1].strip()
    return re.sub(r"\.(safetensors|ckpt|gguf|pth?|sft|bin)$", "", name, flags=re.IGNORECASE)


def parse_json(text: str | None) -> Any:
    """The value of a JSON text; None for what is none, or is nested beyond reason."""
    if not text or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def parse_object(text: str | None) -> dict[str, Any]:
    """The object of a JSON text; empty for what is none."""
    value = parse_json(text)
    return value if isinstance(value, dict) else {}


_LABELLED = re.compile(r"\s*(prompt|workflow)\s*:\s*(?=\{)", re.IGNORECASE)


def _unwrapped(texts: Texts) -> Texts:
    """The same texts, those that hold others in them opened: ComfyUI's in Exif and in the comments of videos."""
    opened: dict[str, str] = {}
    for keyword, text in texts.items():
        if match := _LABELLED.match(text):
            opened.setdefault(match[1].lower(), text[match.end() :])
        elif keyword.lower() in ("comment", "description", "usercomment") and '"workflow"' in text:
            inner = parse_object(text)
            for name in ("prompt", "workflow"):
                if value := inner.get(name):
                    opened.setdefault(name, value if isinstance(value, str) else json.dumps(value))
    return {**texts, **opened}


def _parameters(texts: Texts) -> str:
    """Where PNG has the keyword `parameters`, other formats have a comment."""
    return next((texts[keyword] for keyword in ("parameters", "UserComment", "comment") if texts.get(keyword)), "")


def _swarmui(texts: Texts) -> Generation | None:
    parameters = parse_object(_parameters(texts)).get("sui_image_params")
    if not isinstance(parameters, dict):
        return None
    version = clean_text(parameters.get("swarm_version"), MAX_NAME)
    get = parameters.get
    return make_generation(
        get("prompt"), get("negativeprompt"), get("model"), get("seed"), get("steps"), f"SwarmUI {version}".strip()
    )


def _fooocus(texts: Texts) -> Generation | None:
    parameters = parse_object(_parameters(texts))
    get = parameters.get
    if not parameters or not (
        "fooocus_scheme" in texts or "Fooocus" in str(get("version")) or "base_model" in parameters
    ):
        return None
    return make_generation(
        get("prompt"), get("negative_prompt"), get("base_model"), get("seed"), get("steps"), get("version") or "Fooocus"
    )


def _draw_things(texts: Texts) -> Generation | None:
    parameters = parse_object(_parameters(texts))
    get = parameters.get
    if not {"c", "uc", "seed", "sampler"} <= parameters.keys():
        return None
    return make_generation(get("c"), get("uc"), get("model"), get("seed"), get("steps"), "Draw Things")


# One `Name: value` of A1111's last line, as it parses them itself; a value with commas stands in quotes.
_SETTING = re.compile(r'\s*(\w[\w \-/]{0,60}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_LEAST_SETTINGS = 3
_LIKE_JSON = re.compile(r"""[\[{]\s*["\[{]""")
_TYPICAL = {"Steps", "Sampler", "Seed", "Model", "Model hash", "Size"}


def _a1111(texts: Texts) -> Generation | None:
    """A1111, Forge, SD.Next, and the many that write as they do."""
    text = _parameters(texts).strip()
    *lines, last = text.split("\n")
    settings = {name: _unquoted(value) for name, value in _SETTING.findall(last[:MAX_SETTINGS])}
    if (len(settings) < _LEAST_SETTINGS and "Steps" not in settings) or not _TYPICAL & settings.keys():
        lines, settings = [*lines, last], {}
    if not settings and not _is_prompt(texts, text):
        return None
    before, _, negative = ("\n" + "\n".join(lines)).partition("\nNegative prompt:")
    get = settings.get
    family = _a1111_family(texts, settings) if settings else None
    return make_generation(before, negative, get("Model"), get("Seed"), get("Steps"), family)


def _is_prompt(texts: Texts, text: str) -> bool:
    """Whether a text without settings is a prompt all the same; a comment may be anything."""
    return "\nNegative prompt:" in text or (bool(texts.get("parameters")) and not _LIKE_JSON.match(text))


def _a1111_family(texts: Texts, settings: Mapping[str, str]) -> str:
    version = settings.get("Version", "")
    if app := settings.get("App"):
        return app
    if "workflow" in texts or version == "ComfyUI":
        return "ComfyUI"
    if re.match(r"v\d", version):
        return f"Stable Diffusion web UI {version}"
    if re.match(r"(f\d|neo)", version):
        return f"Forge {version}"
    return version or "Stable Diffusion web UI"


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value.strip()
    try:
        return str(json.loads(value))
    except (ValueError, RecursionError):
        return value.strip('"')


def _comfyui(texts: Texts) -> Generation | None:
    graph = parse_object(texts.get("prompt"))
    workflow = {} if graph else parse_object(texts.get("workflow"))
    found = read_graph(graph, workflow)
    if found is None:
        return None
    return make_generation(found.prompt, found.negative, found.model, found.seed, found.steps, "ComfyUI")


def _invokeai(texts: Texts) -> Generation | None:
    """InvokeAI 3 and on."""
    metadata = parse_object(texts.get("invokeai_metadata"))
    if not metadata:
        return None
    get = metadata.get
    model = get("model")
    if isinstance(model, dict):
        model = model.get("name") or model.get("model_name")
    prompt, negative = get("positive_prompt"), get("negative_prompt")
    return make_generation(prompt, negative, model, get("seed"), get("steps"), _version("InvokeAI", get("app_version")))


def _invokeai_2(texts: Texts) -> Generation | None:
    metadata = parse_object(texts.get("sd-metadata"))
    image = metadata.get("image")
    if not isinstance(image, dict):
        return None
    prompt = image.get("prompt")
    if isinstance(prompt, list):
        prompt = ", ".join(str(part.get("prompt", "")) for part in prompt if isinstance(part, dict))
    prompt, negative = _without_brackets(clean_text(prompt, MAX_PROMPT))
    generator = _version("InvokeAI", metadata.get("app_version"))
    return make_generation(
        prompt, negative, metadata.get("model_weights"), image.get("seed"), image.get("steps"), generator
    )


_DREAM = re.compile(r'\s*"((?:\\.|[^"\\])*)"(.*)', re.DOTALL)


def _dream(texts: Texts) -> Generation | None:
    """The command line that InvokeAI began as: `"a prompt" -s 50 -S 42 -W 512`."""
    match = _DREAM.match(texts.get("Dream", ""))
    if match is None:
        return None
    prompt, negative = _without_brackets(match[1].replace('\\"', '"'))
    options = dict(re.findall(r"(?<!\S)-([sS])\s*(\d+)", match[2]))
    return make_generation(prompt, negative, None, options.get("S"), options.get("s"), "InvokeAI")


def _without_brackets(prompt: str) -> tuple[str, str]:
    """A prompt, and what it wants to keep out: the words in brackets."""
    negative = re.findall(r"\[([^\[\]]*)\]", prompt)
    return " ".join(re.sub(r"\[[^\[\]]*\]", " ", prompt).split()), ", ".join(negative)


def _novelai(texts: Texts) -> Generation | None:
    if texts.get("Software") != "NovelAI":
        return None
    comment = parse_object(texts.get("Comment"))
    get = comment.get
    prompt = get("prompt") or texts.get("Description")
    return make_generation(prompt, get("uc"), texts.get("Source"), get("seed"), get("steps"), "NovelAI")


def _midjourney(texts: Texts) -> Generation | None:
    prompt, found, _ = texts.get("Description", "").partition("Job ID:")
    if not found:
        return None
    options = dict(re.findall(r"--(seed|niji|v)\s+([\d.]+)", prompt))
    return make_generation(prompt, seed=options.get("seed"), generator=_version("Midjourney", options.get("v")))


_READERS: tuple[Callable[[Texts], Generation | None], ...] = (
    _swarmui,
    _fooocus,
    _draw_things,
    _invokeai,
    _invokeai_2,
    _dream,
    _novelai,
    _midjourney,
    _a1111,  # before ComfyUI: nodes that write both have resolved every wildcard in it
    _comfyui,
)


def _version(name: str, version: object) -> str:
    return f"{name} {version}".strip() if isinstance(version, str) else name


_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def clean_text(value: object, most: int) -> str:
    """A text without what no database takes and no encoding knows, cut to that many letters; empty for no text."""
    return _NO_TEXT.sub("", value).strip()[:most].rstrip() if isinstance(value, str) else ""


def _digits(value: object) -> str | None:
    """A whole number as text: no sign but that of -1, which stands for a random seed, and is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    match = re.fullmatch(r"(\d{1,40})(?:\.0)?", str(value).strip()) if _is_short(value) else None
    return match[1] if match else None


def _is_short(value: int | float | str) -> bool:
    # Python refuses to write an integer of thousands of digits as text.
    return not isinstance(value, int) or value.bit_length() < 128
