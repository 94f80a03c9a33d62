"""What an XMP packet says of a picture's making and content. For child processes."""

from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, fromstring

MAX_PACKET = 1024**2
"""Bytes of a packet that is read; a longer one is none."""

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_PROPERTIES = {
    "{http://purl.org/dc/elements/1.1/}description": "description",
    "{http://purl.org/dc/elements/1.1/}subject": "subjects",
    "{http://ns.adobe.com/exif/1.0/}UserComment": "comment",
    "{http://ns.adobe.com/xap/1.0/}CreatorTool": "tool",
    "{http://ns.adobe.com/photoshop/1.0/}Credit": "credit",
    "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType": "source_type",
    "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}AIPromptInformation": "prompt",
    "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}AISystemUsed": "system",
}


@dataclass(slots=True)
class Xmp:
    """The properties that matter here; `source_type` is the last word of the IPTC's code, `trainedAlgorithmicMedia`."""

    description: str = ""
    subjects: tuple[str, ...] = ()
    comment: str = ""
    tool: str = ""
    credit: str = ""
    source_type: str = ""
    prompt: str = ""
    system: str = ""


def parse_packet(packet: bytes) -> Element | None:
    """The root of a packet; None for what is none, and for one that defines entities: they can make it a huge one."""
    if len(packet) > MAX_PACKET:
        return None
    try:
        text = packet.decode("utf-8-sig").strip("\0 \r\n\t")
        return None if "<!DOCTYPE" in text else fromstring(text)  # noqa: S314 - without entities there is nothing to fear
    except (UnicodeDecodeError, ParseError):
        return None


def read_xmp(packet: bytes) -> Xmp:
    """Read a packet; empty for what is none."""
    found = Xmp()
    root = parse_packet(packet)
    if root is None:
        return found
    for description in root.iter(f"{_RDF}Description"):
        for name, value in description.items():
            _set(found, name, [value])
        for child in description:
            _set(found, child.tag, _values(child))
    found.source_type = found.source_type.rpartition("/")[2]
    return found


def _values(element: Element) -> list[str]:
    """The texts of a property: of its list, else its own."""
    listed = [item.text or "" for item in element.iter(f"{_RDF}li")]
    return listed or [element.text or element.get(f"{_RDF}resource") or ""]


def _set(found: Xmp, name: str, values: list[str]) -> None:
    attribute = _PROPERTIES.get(name)
    texts = [text for value in values if (text := value.strip())]
    if attribute == "subjects":
        found.subjects = found.subjects or tuple(texts)
    elif attribute and texts and not getattr(found, attribute):
        setattr(found, attribute, texts[0])
