"""ComfyUI's graph: from the node that samples to the texts, the model and the numbers that go into it."""

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_NODES = 5_000

_TEXT = re.compile(
    r"(text|prompt|string|value|populated_text|clip_[lg]|t5xxl|llama|positive|negative)(_?\w|_positive|_negative)?"
)
_MODEL_FILE = re.compile(r"(ckpt|unet|model|diffusion_model|gguf)(_name|_path)?")
_MODEL_LINK = re.compile(r"\w*(model|guider|unet|pipe)\w*")
_SEEDS = ("seed", "noise_seed", "value", "int")
_STEPS = ("steps", "value", "int")
_NO_TEXT = {"ConditioningZeroOut"}

# The widgets of common nodes in their order: a workflow as the editor saves it has values without names.
_WIDGETS: dict[str, tuple[str, ...]] = {
    "CLIPTextEncode": ("text",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name",),
    "KSampler": ("seed", "after", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": ("add_noise", "noise_seed", "after", "steps", "cfg"),
    "SamplerCustom": ("add_noise", "noise_seed", "after", "cfg"),
    "RandomNoise": ("noise_seed", "after"),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
}


@dataclass(slots=True, frozen=True)
class Node:
    """A node: its class, and its inputs, each a value or a link `[node id, output]`."""

    kind: str
    inputs: Mapping[str, Any]


Graph = Mapping[str, Node]


@dataclass(slots=True, frozen=True)
class Sampled:
    """What went into a picture."""

    prompt: str
    negative: str
    model: str | None
    seed: int | str | None
    steps: int | None


def read_graph(prompt: Mapping[str, Any], workflow: Mapping[str, Any]) -> Sampled | None:
    """What the graph that was run tells, else the one that the editor showed; None if neither is a graph."""
    graph = _from_prompt(prompt) or _from_workflow(workflow)
    if not graph:
        return None
    sampler = _find_sampler(graph)
    if sampler is None:
        texts = _texts(graph, _sinks(graph), "prompt")
        return Sampled("\n".join(texts[:1]), "", None, None, None)
    return Sampled(
        "\n".join(_conditioning(graph, sampler, "positive")),
        "\n".join(_conditioning(graph, sampler, "negative")),
        _model(graph, sampler),
        _number(graph, sampler, _SEEDS, "noise"),
        _number(graph, sampler, _STEPS, "sigmas"),
    )


def _from_prompt(prompt: Mapping[str, Any]) -> dict[str, Node]:
    return {
        name: Node(kind, inputs)
        for name, node in list(prompt.items())[:MAX_NODES]
        if isinstance(node, dict)
        and isinstance(kind := node.get("class_type"), str)
        and isinstance(inputs := node.get("inputs"), dict)
    }


def _from_workflow(workflow: Mapping[str, Any]) -> dict[str, Node]:
    """The same graph out of what the editor saves: links are apart, and values are lists."""
    nodes, links = workflow.get("nodes"), workflow.get("links")
    if not isinstance(nodes, list) or not isinstance(links, list):
        return {}
    origins = {str(link[0]): [str(link[1]), link[2]] for link in links if isinstance(link, list) and len(link) > 4}
    graph: dict[str, Node] = {}
    for node in nodes[:MAX_NODES]:
        if not isinstance(node, dict) or not isinstance(kind := node.get("type"), str):
            continue
        inputs = _widgets(kind, node.get("widgets_values"))
        for entry in node.get("inputs") or () if isinstance(node.get("inputs"), list) else ():
            if isinstance(entry, dict) and (origin := origins.get(str(entry.get("link")))):
                inputs[str(entry.get("name"))] = origin
        graph[str(node.get("id"))] = Node(kind, inputs)
    return graph


def _widgets(kind: str, values: object) -> dict[str, Any]:
    if isinstance(values, dict):
        return {str(name): value for name, value in values.items() if not isinstance(value, list)}
    return dict(zip(_WIDGETS.get(kind, ()), values, strict=False)) if isinstance(values, list) else {}


def _linked(graph: Graph, value: object) -> str | None:
    """The node that a link comes from."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int):
        name = str(value[0])
        return name if name in graph else None
    return None


def _sources(graph: Graph, name: str) -> list[str]:
    return [source for value in graph[name].inputs.values() if (source := _linked(graph, value))]


def _sinks(graph: Graph) -> list[str]:
    """The nodes that nothing comes after, those that save before the others."""
    used = {source for name in graph for source in _sources(graph, name)}
    ends = [name for name in graph if name not in used] or list(graph)
    return sorted(ends, key=lambda name: "save" not in graph[name].kind.lower())


def _upstream(graph: Graph, starts: Iterable[str], link: re.Pattern[str] | None = None) -> Iterable[str]:
    """The starts and all nodes before them, nearest first; along links of such names alone, if given."""
    queue = deque(starts)
    seen = set(queue)
    while queue:
        name = queue.popleft()
        yield name
        for key, value in graph[name].inputs.items():
            source = _linked(graph, value) if link is None or link.fullmatch(key) else None
            if source and source not in seen:
                seen.add(source)
                queue.append(source)


def _find_sampler(graph: Graph) -> str | None:
    """The sampler that began with noise: of those behind what was saved the one that no other stands before."""
    nearest = next((name for name in _upstream(graph, _sinks(graph)) if _is_sampler(graph, name)), None)
    passed = set()
    while nearest is not None and nearest not in passed:
        passed.add(nearest)
        latent = _linked(graph, graph[nearest].inputs.get("latent_image"))
        before = _upstream(graph, [latent]) if latent else ()
        earlier = next((name for name in before if _is_sampler(graph, name) and name not in passed), None)
        if earlier is None:
            return nearest
        nearest = earlier
    return nearest


def _is_sampler(graph: Graph, name: str) -> bool:
    inputs = graph[name].inputs
    return "guider" in inputs or (
        "positive" in inputs and any(key in inputs for key in ("seed", "noise_seed", "steps"))
    )


def _conditioning(graph: Graph, sampler: str, role: str) -> list[str]:
    """The texts that a sampler steers towards (`positive`), or away from (`negative`)."""
    inputs = graph[sampler].inputs
    if isinstance(text := inputs.get(role), str):
        return [text]
    start = _linked(graph, inputs.get(role))
    if start is None and (guider := _linked(graph, inputs.get("guider"))):
        steering = graph[guider].inputs
        start = _linked(graph, steering.get(role, steering.get("conditioning") if role == "positive" else None))
    return _texts(graph, [start], role) if start else []


def _texts(graph: Graph, starts: Iterable[str], role: str) -> list[str]:
    """The texts of the nearest nodes that have any, in their order, each once."""
    found: list[str] = []
    stack, seen = list(starts)[::-1], set()
    while stack:
        name = stack.pop()
        node = graph[name]
        if name in seen or node.kind in _NO_TEXT:
            continue
        seen.add(name)
        values = {key: value for key, value in node.inputs.items() if _TEXT.fullmatch(key)}
        if role in values and role in ("positive", "negative"):  # a node that both go through
            values = {role: values[role]}
        texts = [value for value in values.values() if isinstance(value, str) and value.strip()]
        found += [text for text in texts if text not in found]
        links = (
            values.values()
            if texts or any(_linked(graph, value) for value in values.values())
            else node.inputs.values()
        )
        stack += [source for value in reversed(list(links)) if (source := _linked(graph, value))]
    return found


def _model(graph: Graph, sampler: str) -> str | None:
    for name in _upstream(graph, [sampler], _MODEL_LINK):
        for key, value in graph[name].inputs.items():
            if _MODEL_FILE.fullmatch(key) and isinstance(value, str):
                return value
    return None


def _number(graph: Graph, sampler: str, keys: tuple[str, ...], link: str) -> Any:
    """A number of the sampler: its own, or that of the node it is linked to."""
    name: str | None = sampler
    passed: set[str] = set()
    while name is not None and name not in passed:
        passed.add(name)
        inputs = graph[name].inputs
        values = [inputs[key] for key in keys if key in inputs]
        for value in values:
            if isinstance(value, int | float) and not isinstance(value, bool):
                return value
        links = (_linked(graph, value) for value in (*values, inputs.get(link)))
        name = next((source for source in links if source), None)
    return None
