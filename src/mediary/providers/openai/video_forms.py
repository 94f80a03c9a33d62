"""How the services that make videos want to be asked: by `/videos` or `/videos/generations`, each in its own words."""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mediary.errors import FieldError, ModelNotFoundError, ProviderError
from mediary.providers.base import Image, TurnRequest
from mediary.providers.http.encoding import data_uri, encode
from mediary.providers.http.form import encode_form
from mediary.providers.http.pictures import originals
from mediary.providers.http.service import Service
from mediary.providers.http.videos import length_of, pixels_of, shape_of
from mediary.providers.openai.media import as_file

SIZES = {
    "sora-2-pro": ((1280, 720), (720, 1280), (1792, 1024), (1024, 1792)),
    "sora": ((1280, 720), (720, 1280)),
}
"""What models are known to make; the first that stands in the name counts."""
SHAPES = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
"""The aspect ratios that services have names for."""

_JSON = "application/json"
_OPTIONS = ("seed", "negative_prompt", "steps", "n")

_about_form = re.compile(r"json|multipart|content.type|form.data|boundary|valid dictionary", re.IGNORECASE)

Body = tuple[bytes, str]
"""A body and its content type."""


@dataclass(slots=True, frozen=True)
class Way:
    """Where a service is asked, and how the question is written down."""

    path: str
    write: Callable[[TurnRequest], Body]


def ways_of(service: Service) -> tuple[Service, Sequence[Way]]:
    """The ways to ask a service, in the order in which they are tried, and where; most are not told apart by name."""
    match service.domain:
        case "openrouter.ai":
            return service, (Way("/videos", _openrouter),)
        case "x.ai":
            return service, (Way("/videos/generations", _generations),)
        case "together.xyz" | "together.ai":
            # Videos are in the second version of its API only.
            url = re.sub(r"/v1/?$", "/v2", service.base_url)
            return replace(service, base_url=url), (Way("/videos", _together),)
        case _:
            return service, (
                Way("/videos", _form),
                Way("/videos", _json),
                Way("/videos/generations", _generations),
            )


def may_follow(error: ProviderError, way: Way, other: Way) -> bool:
    """Whether a refusal is about the way in which was asked, so that the other one may be taken."""
    if isinstance(error, ModelNotFoundError):
        return False
    if error.answered in (404, 405):
        return other.path != way.path
    of_form = error.answered in (400, 422) and bool(_about_form.search(error.message))
    return other.path == way.path and (error.answered == 415 or of_form)


def _form(request: TurnRequest) -> Body:
    """As OpenAI has it: a form, with the picture as a file."""
    files = [as_file("input_reference", picture) for picture in _first_frame(request)]
    return encode_form({name: str(value) for name, value in _fields(request).items()}, files)


def _json(request: TurnRequest) -> Body:
    """The same as JSON."""
    fields = _fields(request)
    for picture in _first_frame(request):
        fields["input_reference"] = {"image_url": _uri(picture)}
    return encode(fields), _JSON


def _fields(request: TurnRequest) -> dict[str, Any]:
    fields = _begun(request)
    sizes = next((sizes for name, sizes in SIZES.items() if name in request.model), ())
    return fields | _said(size=pixels_of(request.options, sizes), seconds=length_of(request.options))


def _generations(request: TurnRequest) -> Body:
    """As xAI has it: the shape by name, one picture to begin with or several to go by."""
    ratio, resolution = shape_of(request.options, SHAPES)
    fields = _begun(request) | _said(duration=_number(request), aspect_ratio=ratio, resolution=resolution)
    pictures = [{"url": _uri(picture)} for picture in originals(request)]
    if len(pictures) == 1:
        fields["image"] = pictures[0]
    elif pictures:
        fields["reference_images"] = pictures
    return encode(fields), _JSON


def _openrouter(request: TurnRequest) -> Body:
    """As OpenRouter has it: pictures are the first and the last frame, or more of them what to go by."""
    options, pictures = request.options, originals(request)
    fields = _begun(request) | _said(duration=_number(request))
    if options.get("width") or options.get("height"):
        fields |= _said(size=pixels_of(options))
    else:
        ratio, resolution = shape_of(options, SHAPES)
        fields |= _said(aspect_ratio=ratio, resolution=resolution)
    parts = [{"type": "image_url", "image_url": {"url": _uri(picture)}} for picture in pictures]
    if len(parts) > 2:
        fields["input_references"] = parts
    elif parts:
        ends = zip(parts, ("first_frame", "last_frame"), strict=False)
        fields["frame_images"] = [{**part, "frame_type": end} for part, end in ends]
    return encode(fields), _JSON


def _together(request: TurnRequest) -> Body:
    """As Together has it: sides as numbers, pictures as frames."""
    fields = _begun(request) | _said(seconds=length_of(request.options))
    width, by, height = (pixels_of(request.options) or "").partition("x")
    if by:
        fields |= {"width": int(width), "height": int(height)}
    if pictures := originals(request):
        ends = ("first", "last") if len(pictures) < 3 else range(len(pictures))
        coded = (base64.b64encode(picture.data).decode("ascii") for picture in pictures)
        fields["frame_images"] = [{"input_image": data, "frame": end} for data, end in zip(coded, ends, strict=False)]
    return encode(fields), _JSON


def _begun(request: TurnRequest) -> dict[str, Any]:
    options = request.options
    fields: dict[str, Any] = {"model": request.model, "prompt": request.prompt}
    return fields | {name: options[name] for name in _OPTIONS if name in options}


def _said(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _number(request: TurnRequest) -> float | None:
    """The length as a number, a whole one where it is one."""
    said = length_of(request.options)
    return None if said is None else int(said) if said.isdecimal() else float(said)


def _first_frame(request: TurnRequest) -> list[Image]:
    """The one picture that this form has a place for, if the question brings one."""
    pictures = originals(request)
    if len(pictures) > 1:
        raise FieldError("messages", f"{request.model} takes one picture to begin a video with, not {len(pictures)}")
    return pictures


def _uri(picture: Image) -> str:
    return data_uri(picture.media_type, picture.data)
