"""The words of tools that make pictures, as they write them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.media.decoding.comfyui import read_graph
from mediary.media.decoding.generation import MAX_PROMPT, Generation, model_name, read_generation

A1111 = """a cat, <lora:fluffy:0.8>
in a hat
Negative prompt: dog, (worst quality:1.4)
Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 3141592653, Size: 512x768, Model hash: e1441589a6, \
Model: juggernaut_xl, Lora hashes: "fluffy: aaa, other: bbb", Version: v1.10.1"""


def test_a1111():
    assert read_generation({"parameters": A1111}) == Generation(
        prompt="a cat, <lora:fluffy:0.8>\nin a hat",
        negative_prompt="dog, (worst quality:1.4)",
        model="juggernaut_xl",
        seed="3141592653",
        steps=20,
        generator="Stable Diffusion web UI v1.10.1",
    )


@pytest.mark.parametrize(
    ("version", "generator"),
    [
        ("Version: f2.0.1v1.10.1", "Forge f2.0.1v1.10.1"),
        ("Version: ComfyUI", "ComfyUI"),
        ("App: SD.Next, Version: 5f3ac1e", "SD.Next"),
        ("Denoising strength: 0.5", "Stable Diffusion web UI"),
    ],
)
def test_its_family(version: str, generator: str):
    found = read_generation({"parameters": f"a cat\nSteps: 20, Sampler: Euler a, Seed: 1, {version}"})
    assert found == Generation(prompt="a cat", seed="1", steps=20, generator=generator)


@pytest.mark.parametrize(
    "text",
    [
        "a cat\nSteps: 20, Sampler: Euler, Seed: 5",
        "Steps: 20, Sampler: Euler, Seed: 5",
        'a "Seed: 7, CFG: 1, x: y" cat\nSteps: 20, Sampler: Euler, Seed: 5, Model: "a, b: c"',
    ],
)
def test_its_last_line_has_the_settings(text: str):
    found = read_generation({"parameters": text})
    assert found is not None
    assert (found.seed, found.steps) == ("5", 20)


@pytest.mark.parametrize("keyword", ["parameters", "UserComment"])
def test_a_prompt_without_settings_has_none(keyword: str):
    found = read_generation({keyword: "a cat\nNegative prompt: dog: large, small"})
    assert found is not None
    assert (found.prompt, found.negative_prompt, found.seed) == ("a cat", "dog: large, small", None)


def test_a_prompt_alone():
    found = read_generation({"parameters": "a cat: black, and a dog: white, and a bird: blue"})
    assert found is not None
    assert found.prompt == "a cat: black, and a dog: white, and a bird: blue"


def test_letters_that_no_database_takes():
    found = read_generation({"parameters": json.dumps({"base_model": "x", "prompt": "a\ud800\0b"})})
    assert found is not None
    assert found.prompt == "ab"


def test_a_comment_of_another_kind_is_none():
    for comment in ("taken on holiday, it was warm", "Place: Rome, Time: noon, Weather: fine", "CREATOR: gd-jpeg v1.0"):
        assert read_generation({"UserComment": comment}) is None
    assert read_generation({}) is None


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


DEFAULT_GRAPH = {
    "3": node(
        "KSampler", seed=156680208700286, steps=20, cfg=8, sampler_name="euler", scheduler="normal", denoise=1,
        model=["4", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0],
    ),
    "4": node("CheckpointLoaderSimple", ckpt_name="SDXL/v1-5-pruned.safetensors"),
    "5": node("EmptyLatentImage", width=512, height=512, batch_size=1),
    "6": node("CLIPTextEncode", text="a bottle", clip=["4", 1]),
    "7": node("CLIPTextEncode", text="watermark", clip=["4", 1]),
    "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
    "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
}  # fmt: skip
BOTTLE = Generation(
    prompt="a bottle",
    negative_prompt="watermark",
    model="v1-5-pruned",
    seed="156680208700286",
    steps=20,
    generator="ComfyUI",
)


def test_comfyui():
    assert read_generation({"prompt": json.dumps(DEFAULT_GRAPH), "workflow": "{}"}) == BOTTLE


def test_comfyui_writes_nan_where_json_has_none():
    text = json.dumps(DEFAULT_GRAPH | {"9": DEFAULT_GRAPH["9"] | {"is_changed": [float("nan")]}})
    assert "NaN" in text
    assert read_generation({"prompt": text}) == BOTTLE


def test_comfyui_in_the_exif_of_a_webp():
    texts = {"Model": "prompt:" + json.dumps(DEFAULT_GRAPH), "Make": 'workflow:{"nodes": []}'}
    assert read_generation(texts) == BOTTLE


def test_comfyui_in_the_comment_of_a_video():
    comment = json.dumps({"prompt": json.dumps(DEFAULT_GRAPH), "workflow": {"nodes": []}})
    assert read_generation({"comment": comment}) == BOTTLE


def test_a1111s_words_in_a_comfyui_picture_count_more():
    found = read_generation({"parameters": A1111.replace("v1.10.1", "ComfyUI"), "prompt": json.dumps(DEFAULT_GRAPH)})
    assert found is not None
    assert (found.prompt[:5], found.generator) == ("a cat", "ComfyUI")


FLUX_GRAPH = {
    "1": node("SamplerCustomAdvanced", noise=["2", 0], guider=["3", 0], sampler=["4", 0], sigmas=["5", 0],
              latent_image=["6", 0]),
    "2": node("RandomNoise", noise_seed=42),
    "3": node("BasicGuider", model=["7", 0], conditioning=["8", 0]),
    "4": node("KSamplerSelect", sampler_name="euler"),
    "5": node("BasicScheduler", scheduler="simple", steps=28, denoise=1, model=["7", 0]),
    "6": node("EmptySD3LatentImage", width=1024, height=1024),
    "7": node("LoraLoaderModelOnly", lora_name="x.safetensors", model=["10", 0]),
    "8": node("FluxGuidance", guidance=3.5, conditioning=["9", 0]),
    "9": node("CLIPTextEncode", text=["11", 0], clip=["12", 0]),
    "10": node("UNETLoader", unet_name="flux1-dev.sft", weight_dtype="default"),
    "11": node("StringConcatenate", string_a="a fox", string_b=["13", 0], delimiter=", "),
    "12": node("DualCLIPLoader", clip_name1="t5xxl.safetensors", clip_name2="clip_l.safetensors", type="flux"),
    "13": node("PrimitiveStringMultiline", value="in snow"),
    "14": node("VAEDecode", samples=["1", 0]),
    "15": node("SaveImage", images=["14", 0]),
}  # fmt: skip


def test_comfyui_with_a_guider_and_linked_texts():
    found = read_generation({"prompt": json.dumps(FLUX_GRAPH)})
    assert found == Generation(prompt="a fox\nin snow", model="flux1-dev", seed="42", steps=28, generator="ComfyUI")


def test_comfyui_with_two_samplers_tells_of_the_one_that_began():
    second = node("KSampler", seed=2, steps=5, model=["4", 0], positive=["6", 0], negative=["7", 0],
                  latent_image=["20", 0])  # fmt: skip
    graph = DEFAULT_GRAPH | {
        "20": node("LatentUpscale", samples=["3", 0]),
        "21": second,
        "8": node("VAEDecode", samples=["21", 0], vae=["4", 2]),
    }
    assert read_generation({"prompt": json.dumps(graph)}) == BOTTLE


def test_comfyui_with_a_control_net_keeps_the_two_sides_apart():
    net = node("ControlNetApplyAdvanced", strength=1, positive=["6", 0], negative=["7", 0], image=["31", 0])
    sampler = DEFAULT_GRAPH["3"]["inputs"] | {"positive": ["30", 0], "negative": ["30", 1]}
    graph = DEFAULT_GRAPH | {"3": node("KSampler", **sampler), "30": net, "31": node("LoadImage", image="a.png")}
    assert read_generation({"prompt": json.dumps(graph)}) == BOTTLE


def test_comfyui_that_zeroes_the_prompt_wants_nothing_kept_out():
    sampler = DEFAULT_GRAPH["3"]["inputs"] | {"negative": ["30", 0], "seed": ["31", 0]}
    graph = DEFAULT_GRAPH | {
        "3": node("KSampler", **sampler),
        "30": node("ConditioningZeroOut", conditioning=["6", 0]),
        "31": node("PrimitiveInt", value=7),
    }
    found = read_generation({"prompt": json.dumps(graph)})
    assert found is not None
    assert (found.prompt, found.negative_prompt, found.seed) == ("a bottle", "", "7")


def test_comfyui_with_loops_ends():
    graph = {
        "1": node("KSampler", seed=["1", 0], steps=["2", 0], positive=["2", 0], negative=["1", 0], model=["2", 0],
                  latent_image=["1", 0]),
        "2": node("CLIPTextEncode", text=["2", 0], conditioning=["1", 0], model=["1", 0], steps=["1", 0]),
    }  # fmt: skip
    assert read_graph(graph, {}) is not None


def test_comfyui_as_its_editor_saves_it():
    workflow = {
        "nodes": [
            {"id": 3, "type": "KSampler", "widgets_values": [9, "randomize", 20, 8, "euler", "normal", 1],
             "inputs": [{"name": "model", "link": 1}, {"name": "positive", "link": 4},
                        {"name": "negative", "link": 6}, {"name": "latent_image", "link": None}]},
            {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["dreamshaper.safetensors"], "inputs": []},
            {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a boat"], "inputs": [{"name": "clip", "link": 3}]},
            {"id": 7, "type": "CLIPTextEncode", "widgets_values": ["text"], "inputs": []},
        ],
        "links": [[1, 4, 0, 3, 0, "MODEL"], [4, 6, 0, 3, 1, "CONDITIONING"], [6, 7, 0, 3, 2, "CONDITIONING"],
                  [3, 4, 1, 6, 0, "CLIP"]],
    }  # fmt: skip
    assert read_generation({"workflow": json.dumps(workflow)}) == Generation(
        prompt="a boat", negative_prompt="text", model="dreamshaper", seed="9", steps=20, generator="ComfyUI"
    )


OTHERS = {
    "InvokeAI": (
        {"invokeai_metadata": {"generation_mode": "txt2img", "positive_prompt": "a fox", "negative_prompt": "cat",
                               "seed": 1234, "steps": 30, "app_version": "5.4.0",
                               "model": {"key": "k", "hash": "h", "name": "Juggernaut XL v9", "base": "sdxl"}}},
        Generation(prompt="a fox", negative_prompt="cat", model="Juggernaut XL v9", seed="1234", steps=30,
                   generator="InvokeAI 5.4.0"),
    ),
    "InvokeAI 2": (
        {"sd-metadata": {"model": "stable diffusion", "model_weights": "stable-diffusion-1.5", "app_version": "v2.3",
                         "image": {"prompt": [{"prompt": "a fox [blurry]", "weight": 1.0}], "steps": 50, "seed": 5}},
         "Dream": "ignored"},
        Generation(prompt="a fox", negative_prompt="blurry", model="stable-diffusion-1.5", seed="5", steps=50,
                   generator="InvokeAI v2.3"),
    ),
    "Dream": (
        {"Dream": '"a \\"red\\" fox [cat]" -s 50 -S 1234 -W 512 -H 512 -C 7.5 -A k_lms'},
        Generation(prompt='a "red" fox', negative_prompt="cat", seed="1234", steps=50, generator="InvokeAI"),
    ),
    "NovelAI": (
        {"Title": "AI generated image", "Description": "1girl", "Software": "NovelAI",
         "Source": "NovelAI Diffusion V4 37442FCA",
         "Comment": {"prompt": "1girl, solo", "steps": 28, "seed": 77, "uc": "lowres", "sampler": "k_euler"}},
        Generation(prompt="1girl, solo", negative_prompt="lowres", model="NovelAI Diffusion V4 37442FCA", seed="77",
                   steps=28, generator="NovelAI"),
    ),
    "Fooocus": (
        {"fooocus_scheme": "fooocus",
         "parameters": {"base_model": "juggernautXL_v8", "prompt": "a fox", "negative_prompt": "cat",
                        "seed": "8675309", "steps": 30, "version": "Fooocus v2.5.5"}},
        Generation(prompt="a fox", negative_prompt="cat", model="juggernautXL_v8", seed="8675309", steps=30,
                   generator="Fooocus v2.5.5"),
    ),
    "SwarmUI": (
        {"parameters": {"sui_image_params": {"prompt": "a fox", "negativeprompt": "cat", "model": "OfficialFlux/dev",
                                             "seed": 1, "steps": 20, "swarm_version": "0.9.4.0"},
                        "sui_extra_data": {"date": "2024-12-01"}}},
        Generation(prompt="a fox", negative_prompt="cat", model="dev", seed="1", steps=20, generator="SwarmUI 0.9.4.0"),
    ),
    "Draw Things": (
        {"UserComment": {"c": "a fox", "uc": "cat", "model": "sd_xl.ckpt", "seed": 4, "steps": 20,
                         "sampler": "DPM++ 2M", "size": "512x512"}},
        Generation(prompt="a fox", negative_prompt="cat", model="sd_xl", seed="4", steps=20, generator="Draw Things"),
    ),
    "Midjourney": (
        {"Description": "a fox in snow --ar 16:9 --v 6.1 Job ID: 0a1b2c3d-0000-4444-8888-000000000000",
         "Author": "somebody"},
        Generation(prompt="a fox in snow --ar 16:9 --v 6.1", generator="Midjourney 6.1"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("tool", OTHERS)
def test_another_tool(tool: str):
    texts, made = OTHERS[tool]
    written = {key: value if isinstance(value, str) else json.dumps(value) for key, value in texts.items()}
    assert read_generation(written) == made


@pytest.mark.parametrize(
    ("file", "name"),
    [("a/b\\c.safetensors", "c"), ("x.CKPT", "x"), ("dall-e-3", "dall-e-3"), ("v1.5", "v1.5"), ("", "")],
)
def test_the_name_of_a_model(file: str, name: str):
    assert model_name(file) == name


def test_an_endless_prompt_is_cut():
    found = read_generation({"parameters": "x" * 10**6 + "\nSteps: 1, Seed: 2, Sampler: y"})
    assert found is not None
    assert len(found.prompt) == MAX_PROMPT


@pytest.mark.parametrize("seed", [10**300, -1, 1.5, float("nan"), True, None, "1e9", [], "9" * 5000])
def test_a_seed_that_is_none(seed: object):
    found = read_generation({"parameters": json.dumps({"base_model": "x", "prompt": "a", "seed": seed})})
    assert found == Generation(prompt="a", model="x", generator="Fooocus")


def test_a_number_that_python_does_not_read():
    assert read_generation({"parameters": '{"base_model": "x", "seed": ' + "9" * 5000 + "}"}) is None


def test_json_of_any_depth():
    for text in ("[" * 10**6, '{"a":' * 10**6, '{"nodes": ' + "[" * 10**5 + "]" * 10**5 + "}"):
        for keyword in ("prompt", "workflow", "parameters", "sd-metadata", "UserComment"):
            assert read_generation({keyword: text}) is None


keywords = st.sampled_from(
    ["parameters", "prompt", "workflow", "invokeai_metadata", "sd-metadata", "Dream", "Comment", "Description",
     "UserComment", "Software", "fooocus_scheme", "comment", "Model"]
)  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["1", "2"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.text(max_size=8)
        | st.sampled_from(
            ["1", "2", "class_type", "inputs", "positive", "negative", "model", "seed", "steps", "text", "guider",
             "image", "prompt", "nodes", "links", "widgets_values", "type", "id", "name", "link", "sui_image_params"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=30,
)  # fmt: skip


@given(st.dictionaries(keywords, st.text() | values.map(json.dumps), max_size=4))
def test_any_texts(texts: dict[str, str]):
    found = read_generation(texts)
    assert found is None or isinstance(found.prompt, str)


links = st.tuples(st.sampled_from("1234"), st.integers(0, 2)).map(list)
inputs = st.dictionaries(
    st.sampled_from(["positive", "negative", "model", "seed", "steps", "text", "guider", "latent_image", "noise",
                     "sigmas", "conditioning", "ckpt_name", "clip"]),
    links | st.text(max_size=5) | st.integers(0, 9) | st.none(),
)  # fmt: skip
graphs = st.dictionaries(
    st.sampled_from("1234"),
    st.builds(lambda kind, given: node(kind, **given), st.sampled_from(["KSampler", "CLIPTextEncode", "Save"]), inputs),
)


@given(graphs)
def test_any_graph(graph: dict[str, Any]):
    found = read_graph(graph, {})
    assert (found is None) == (not graph)
