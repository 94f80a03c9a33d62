"""Writes an Outlook message, which no free program saves: the container as in MS-CFB, the properties as in MS-OXMSG."""

import struct
import sys
from datetime import UTC, datetime
from pathlib import Path

SECTOR = 512
FREE, END, TABLE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def compound(entries: list[tuple[str, int, bytes | None, tuple[int, int, int]]]) -> bytes:
    """A compound file; an entry has a name, a kind, its content, and the numbers of left, right and child."""
    sectors: list[bytes] = []
    chains: list[int] = []

    def put(content: bytes) -> int:
        if not content:
            return END
        first = len(sectors)
        count = -(-len(content) // SECTOR)
        for number in range(count):
            sectors.append(content[number * SECTOR : (number + 1) * SECTOR].ljust(SECTOR, b"\0"))
            chains.append(first + number + 1 if number < count - 1 else END)
        return first

    small, small_chains, records = b"", [], []
    for name, kind, content, links in entries:
        start, size = END, 0
        if content is not None:
            size = len(content)
            start = len(small) // 64 if content else END
            count = -(-size // 64)
            small_chains += [start + number + 1 if number < count - 1 else END for number in range(count)]
            small += content.ljust(count * 64, b"\0")
        records.append([name, kind, links, start, size])
    records[0][3:] = [put(small), len(small)]
    small_table = put(b"".join(struct.pack("<I", link) for link in small_chains) or struct.pack("<I", FREE))
    for number in range(small_table, len(sectors)):
        used = len(small_chains) * 4 - (number - small_table) * SECTOR
        sectors[number] = sectors[number][: max(used, 0)].ljust(SECTOR, b"\xff")
    directory = b""
    for name, kind, (left, right, child), start, size in records:
        text = name.encode("utf-16-le") + b"\0\0"
        directory += struct.pack("<64sHBBIII36xIQ", text, len(text), kind, 1, left, right, child, start, size)
    first_directory = put(directory.ljust(-(-len(directory) // SECTOR) * SECTOR, b"\0"))
    tables = -(-(len(sectors) + 8) // 128)
    first_table = len(sectors)
    chains += [TABLE] * tables
    table = b"".join(struct.pack("<I", link) for link in chains).ljust(tables * SECTOR, b"\xff")
    header = struct.pack("<8s16xHHHHH6x", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6)
    small_tables = -(-len(small_chains) // 128) or 1
    header += struct.pack("<9I", 0, tables, first_directory, 0, 4096, small_table, small_tables, END, 0)
    header += b"".join(struct.pack("<I", first_table + number if number < tables else FREE) for number in range(109))
    return header + b"".join(sectors) + table


def message() -> bytes:
    """A message with a Cc, umlauts, and two attachments."""
    texts = {
        0x001A: "IPM.Note",
        0x0037: "The harbour: Größe & Straße",
        0x0C1A: "Maria Köhler",
        0x5D01: "maria@example.org",
        0x0E04: "Jón Þórsson; harbour@example.org",
        0x0E03: "council@example.org",
        0x1000: "Dear Jón,\r\n\r\nthe lamps cost 640 €, see https://example.org/lamps\r\n\r\n"
        "> What do they cost?\r\n\r\nMaria",
    }
    sent = int(
        (datetime(2024, 3, 5, 9, 30, tzinfo=UTC) - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds() * 10_000_000
    )
    fixed = bytes(32) + struct.pack("<HHIQ", 0x40, 0x0039, 6, sent) + struct.pack("<HHII4x", 3, 0x3FDE, 6, 65001)
    streams = [("__properties_version1.0", fixed)]
    streams += [(f"__substg1.0_{number:04X}001F", text.encode("utf-16-le")) for number, text in texts.items()]
    folders = [("__attach_version1.0_#00000000", "lamps.pdf"), ("__attach_version1.0_#00000001", "Grüße.docx")]
    # The entries of a folder are a tree by length and name; one that only leans to the right is one, too.
    entries = [("Root Entry", 5, None, (FREE, FREE, 1))]
    top = sorted([*streams, *folders], key=lambda entry: (len(entry[0]), entry[0].upper()))
    last = len(top)
    for number, (name, content) in enumerate(top, 1):
        after = number + 1 if number < len(top) else FREE
        if isinstance(content, bytes):
            entries.append((name, 2, content, (FREE, after, FREE)))
        else:
            last += 1
            entries.append((name, 1, None, (FREE, after, last)))
    for _, file in folders:
        entries.append(("__substg1.0_3707001F", 2, file.encode("utf-16-le"), (FREE, FREE, FREE)))
    return compound(entries)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(message())
