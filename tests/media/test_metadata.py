"""What is known of a picture, in the words of other tools."""

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from mediary.media.decoding.xmp import MAX_PACKET
from mediary.media.item import MediaItem
from mediary.media.metadata import parameters, xmp_packet

DC = "{http://purl.org/dc/elements/1.1/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


def item(**known: object) -> MediaItem:
    return MediaItem(name="a.png", size=1, media_type="image/png", kind="image", **known)  # type: ignore[arg-type]


def texts(packet: bytes, tag: str) -> list[str]:
    """The texts of all elements of a tag, with those in their lists."""
    return [(part.text or "").strip() for element in ET.fromstring(packet).iter(tag) for part in element.iter()]


def test_the_parameters_are_as_a1111_writes_them():
    known = item(
        prompt="a cat", negative_prompt="a dog", steps=20, seed="42", width=640, height=480, model="flux", alt="A cat"
    )
    assert parameters(known) == (
        "a cat\nNegative prompt: a dog\nSteps: 20, Seed: 42, Size: 640x480, Model: flux, Version: Mediary"
    )


def test_settings_that_hold_what_separates_them_are_quoted():
    assert 'Model: "a: b, c"' in parameters(item(prompt="x", seed="1", model="a: b, c"))


def test_fewer_than_three_settings_would_pass_for_prompt():
    assert parameters(item(prompt="a cat", seed="42")) == "a cat"


def test_nothing_known_is_nothing_written():
    assert parameters(item(width=640, height=480)) == ""
    assert xmp_packet(item(width=640, height=480)) == b""


def test_the_packet_has_prompt_and_tags():
    packet = xmp_packet(item(prompt="кот <&> 猫", tags=("cat", "a, b")))
    assert "кот <&> 猫" in texts(packet, f"{DC}description")
    assert texts(packet, f"{RDF}Bag")[1:] == ["cat", "a, b"]


def test_what_others_wrote_stays_but_for_what_is_written_now():
    theirs = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:own="urn:own" own:camera="Pinhole"
        dc:source="elsewhere">
        <dc:creator><rdf:Seq><rdf:li>Ada</rdf:li></rdf:Seq></dc:creator>
        <dc:subject><rdf:Bag><rdf:li>old</rdf:li></rdf:Bag></dc:subject>
      </rdf:Description></rdf:RDF></x:xmpmeta>"""
    packet = xmp_packet(item(tags=("new",)), theirs)
    assert "Ada" in texts(packet, f"{DC}creator")
    assert texts(packet, f"{RDF}Bag")[1:] == ["new"]
    assert b'camera="Pinhole"' in packet
    assert b'source="elsewhere"' in packet


def test_the_same_again_changes_nothing():
    known = item(prompt="a cat", tags=("x",), model="m")
    once = xmp_packet(known)
    assert xmp_packet(known, once) == once


def test_a_packet_that_is_none_is_replaced():
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&a;</x:xmpmeta>'
    for theirs in (b"", b"<broken", b"\xff\xfe<\0", entities, b"<html/>", b" " * (MAX_PACKET + 1)):
        assert texts(xmp_packet(item(prompt="a cat"), theirs), f"{DC}description")


@given(st.text(max_size=50), st.lists(st.text(max_size=10), max_size=3), st.binary(max_size=100))
def test_whatever_the_words_are_the_packet_is_xml(prompt: str, tags: list[str], theirs: bytes):
    packet = xmp_packet(item(prompt=prompt, tags=tuple(tags), model=prompt), theirs)
    if packet:
        ET.fromstring(packet)
