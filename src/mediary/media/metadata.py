"""What is known of a picture in words that other tools read: A1111's `parameters`, and an XMP packet."""

import json
import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from mediary.media.decoding.xmp import parse_packet
from mediary.media.item import MediaItem

# The source of pictures that a model made, in the vocabulary of the IPTC.
_MADE_BY_A_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

# What XML 1.0 has no way to write.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_NAMESPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}
for _prefix, _uri in _NAMESPACES.items():
    ET.register_namespace(_prefix, _uri)


def parameters(item: MediaItem) -> str:
    """The text that A1111 keeps with a picture: prompt, negative prompt, a line of settings; empty if nothing is known.

    Readers take the last line for settings if it has three or more of them: with fewer it would pass for prompt.
    """
    known = {
        "Steps": item.steps,
        "Seed": item.seed,
        "Size": f"{item.width}x{item.height}" if item.width and item.height else None,
        "Model": item.model,
        "Version": "Mediary",
    }
    settings = [f"{name}: {_quoted(str(value))}" for name, value in known.items() if value is not None]
    if not (item.prompt or item.negative_prompt or item.model or item.seed):
        return ""
    lines = [
        item.prompt,
        f"Negative prompt: {item.negative_prompt}" if item.negative_prompt else "",
        ", ".join(settings) if len(settings) >= 3 else "",
    ]
    return "\n".join(line for line in lines if line)


def xmp_packet(item: MediaItem, existing: bytes = b"") -> bytes:
    """An XMP packet that says what is known of an item; empty if nothing is.

    What stands in an `existing` packet stays, but for the properties that are written; one that is no XMP is replaced.
    """
    written = dict(_properties(item))
    if not written:
        return b""
    root, rdf = _parsed(existing) or _empty()
    for description in rdf.findall(_tag("rdf:Description")):
        for tag in written:
            description.attrib.pop(tag, None)
            for child in description.findall(tag):
                description.remove(child)
        if not len(description) and description.keys() in ([], [_tag("rdf:about")]):
            rdf.remove(description)
    ours = SubElement(rdf, _tag("rdf:Description"), {_tag("rdf:about"): ""})
    ours.extend(written.values())
    body = ET.tostring(root, encoding="unicode").encode("utf-8", "replace")
    begin = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'.encode()
    return begin + body + b'\n<?xpacket end="w"?>'


def _properties(item: MediaItem) -> Iterator[tuple[str, Element]]:
    """The properties that there is something to write in, by their tags."""
    in_words = {
        "dc:description": ("rdf:Alt", [item.prompt or item.alt]),
        "dc:subject": ("rdf:Bag", list(item.tags)),
        "exif:UserComment": ("rdf:Alt", [parameters(item)]),
        "Iptc4xmpCore:AltTextAccessibility": ("rdf:Alt", [item.alt]),
    }
    for name, (container, texts) in in_words.items():
        if kept := [text for text in map(_clean, texts) if text]:
            element = Element(_tag(name))
            listed = SubElement(element, _tag(container))
            language = {"{http://www.w3.org/XML/1998/namespace}lang": "x-default"} if container == "rdf:Alt" else {}
            for text in kept:
                SubElement(listed, _tag("rdf:li"), language).text = text
            yield element.tag, element
    plain = {
        "dc:source": item.source_url,
        "Iptc4xmpExt:AIPromptInformation": item.prompt,
        "Iptc4xmpExt:AISystemUsed": item.model,
        "Iptc4xmpExt:DigitalSourceType": _MADE_BY_A_MODEL if item.model else None,
    }
    for name, value in plain.items():
        if value and (text := _clean(value)):
            element = Element(_tag(name))
            element.text = text
            yield element.tag, element


def _parsed(packet: bytes) -> tuple[Element, Element] | None:
    """The root and the RDF of a packet; None if it is none."""
    root = parse_packet(packet)
    if root is None:
        return None
    rdf = root if root.tag == _tag("rdf:RDF") else root.find(_tag("rdf:RDF"))
    return None if rdf is None else (root, rdf)


def _empty() -> tuple[Element, Element]:
    root = Element(_tag("x:xmpmeta"))
    return root, SubElement(root, _tag("rdf:RDF"))


def _tag(name: str) -> str:
    """A qualified name as ElementTree writes it."""
    prefix, _, local = name.partition(":")
    return f"{{{_NAMESPACES[prefix]}}}{local}"


def _clean(text: str) -> str:
    return _NOT_XML.sub("", text).strip()


def _quoted(value: str) -> str:
    """A value of the settings' line: in quotes where it holds what separates them, as A1111 does it."""
    return json.dumps(value, ensure_ascii=False) if re.search(r"[,:\n]", value) else value
