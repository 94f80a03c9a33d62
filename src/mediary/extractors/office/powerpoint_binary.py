"""Old PowerPoint presentations (PPT, since PowerPoint 97) as Markdown: the words of each slide, and its notes."""

from collections.abc import Iterator
from struct import unpack_from
from typing import BinaryIO

from mediary.errors import UnreadableError
from mediary.extractors.base import Facts, Piece, Wanted
from mediary.extractors.office.lists import Lists
from mediary.extractors.office.ole import opened, stream_of, summary
from mediary.extractors.office.writer import Writer

# Kinds of records, as MS-PPT numbers them.
_DOCUMENT, _SLIDE, _NOTES = 0x03E8, 0x03EE, 0x03F0
_SLIDE_ATOM, _EDIT, _OBJECTS, _LIST, _LISTED = 0x03EF, 0x0FF5, 0x1772, 0x0FF0, 0x03F3
_KIND, _WIDE, _NARROW, _OUTLINE = 0x0F9F, 0x0FA0, 0x0FA8, 0x0F9E
_ENCRYPTED = 0xF3D1C4DF
_TITLES, _BODIES, _SPEAKER = (0, 6), (1, 5, 7, 8), 2
_LISTS_OF_SLIDES, _LISTS_OF_NOTES = 0, 2
_DEPTH = 32

_Record = tuple[int, int, int, int]
"""Instance, kind, where its content begins and ends."""


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text of an old presentation, in the order of its slides."""
    with opened(source) as ole:
        user, content = stream_of(ole, "Current User"), stream_of(ole, "PowerPoint Document")
        if unpack_from("<I", user, 12)[0] == _ENCRYPTED:
            raise UnreadableError("it is protected by a password")
        show = _Show(content, unpack_from("<I", user, 16)[0])
        facts = summary(ole)
        yield Facts(facts.title, facts.author, len(show.slides))
        writer = Writer()
        for number, slide in enumerate(show.slides, 1):
            _write(writer, number, list(show.words(slide)), list(show.notes(slide)))
            yield writer.take()
        yield writer.close()


def _write(writer: Writer, number: int, words: list[tuple[int, str]], notes: list[str]) -> None:
    """A slide: its title first, what stands in its body as items."""
    title = " ".join(" ".join(text.split()) for kind, text in words if kind in _TITLES)
    _element(writer, "h2", title or f"Slide {number}")
    lists = Lists(writer)
    for kind, text in words:
        for line in text.split("\r") if kind not in _TITLES else ():
            if not line.strip():
                continue
            if kind in _BODIES:
                lists.item("body", 0, numbered=False)
                _lines(writer, line)
            else:
                lists.end()
                _element(writer, "p", line)
    lists.end()
    if notes:
        _element(writer, "h3", "Notes")
    for text in notes:
        for line in text.split("\r"):
            _element(writer, "p", line)


def _element(writer: Writer, tag: str, text: str) -> None:
    writer.start(tag)
    _lines(writer, text)
    writer.end(tag)


def _lines(writer: Writer, text: str) -> None:
    for number, line in enumerate(text.split("\v")):
        if number:
            writer.start("br")
        writer.data(line)


class _Show:
    """The records of a presentation; `slides` are where its slides begin, with what the outline has of their text."""

    def __init__(self, content: bytes, edit: int) -> None:
        self._content = content
        self._objects = dict(self._read_objects(edit))
        document = next((at for at in self._objects.values() if self._kind(at) == _DOCUMENT), None)
        if document is None:
            raise UnreadableError("it is damaged: its list of slides is missing")
        lists = [record for record in self._children(document) if record[1] == _LIST]
        self.slides = [slide for record in lists if record[0] == _LISTS_OF_SLIDES for slide in self._listed(record)]
        noted = [note for record in lists if record[0] == _LISTS_OF_NOTES for note in self._listed(record)]
        self._notes = {number: at for at, number, _ in noted}

    def words(self, slide: tuple[int, int, list[tuple[int, str]]]) -> Iterator[tuple[int, str]]:
        """The texts on a slide, and what each is: a title, a body, something else."""
        at, _, outline = slide
        found = list(self._texts(self._record(at), outline, 0))
        kinds = {text for _, text in found}
        yield from (entry for entry in outline if entry[1] not in kinds)
        yield from found

    def notes(self, slide: tuple[int, int, list[tuple[int, str]]]) -> Iterator[str]:
        """What the speaker has noted to a slide."""
        for _, kind, begin, end in self._children(slide[0]):
            if kind == _SLIDE_ATOM and end - begin >= 20:
                noted = self._notes.get(unpack_from("<I", self._content, begin + 16)[0])
                texts = self._texts(self._record(noted), [], 0) if noted is not None else ()
                yield from (text for sort, text in texts if sort == _SPEAKER and text.strip())

    def _read_objects(self, edit: int) -> Iterator[tuple[int, int]]:
        """Where each object lies by its number: the last edit comes first, and the first that is found counts."""
        seen: dict[int, int] = {}
        while self._kind(edit) == _EDIT:
            before, objects = unpack_from("<II", self._content, edit + 16)
            for number, at in self._directory(objects):
                seen.setdefault(number, at)
            if not 0 < before < edit:  # an edit follows those that it changes
                break
            edit = before
        yield from seen.items()

    def _directory(self, at: int) -> Iterator[tuple[int, int]]:
        _, kind, begin, end = self._record(at)
        while kind == _OBJECTS and begin + 4 <= end:
            head = unpack_from("<I", self._content, begin)[0]
            first, count = head & 0xFFFFF, head >> 20
            for number, place in enumerate(unpack_from(f"<{count}I", self._content, begin + 4)):
                yield first + number, place
            begin += 4 + 4 * count

    def _listed(self, record: _Record) -> list[tuple[int, int, list[tuple[int, str]]]]:
        """The slides that a list has: where they begin, their numbers, their text in the outline."""
        found: list[tuple[int, int, list[tuple[int, str]]]] = []
        sort = 4
        for _, kind, begin, end in self._within(record):
            if kind == _LISTED:
                number, identifier = unpack_from("<I8xI", self._content, begin)
                found.append((self._objects.get(number, -1), identifier, []))
            elif kind == _KIND:
                sort = unpack_from("<I", self._content, begin)[0]
            elif kind in (_WIDE, _NARROW) and found:
                found[-1][2].append((sort, self._text(kind, begin, end)))
        return [entry for entry in found if entry[0] >= 0]

    def _texts(self, within: _Record, outline: list[tuple[int, str]], depth: int) -> Iterator[tuple[int, str]]:
        sort = 4
        for record in self._within(within):
            _, kind, begin, end = record
            if kind == _KIND:
                sort = unpack_from("<I", self._content, begin)[0]
            elif kind in (_WIDE, _NARROW):
                yield sort, self._text(kind, begin, end)
            elif kind == _OUTLINE:
                number = unpack_from("<I", self._content, begin)[0]
                yield from outline[number : number + 1]
            elif self._content[begin - 8] & 15 == 15 and depth < _DEPTH:
                yield from self._texts(record, outline, depth + 1)

    def _text(self, kind: int, begin: int, end: int) -> str:
        return self._content[begin:end].decode("utf-16-le" if kind == _WIDE else "cp1252", "replace")

    def _children(self, at: int) -> Iterator[_Record]:
        return self._within(self._record(at))

    def _within(self, record: _Record) -> Iterator[_Record]:
        _, _, at, end = record
        while at + 8 <= end:
            head, kind, begin, stop = self._record(at)
            stop = min(stop, end)  # in damaged files they overlap, and are read over and over
            yield head, kind, begin, stop
            at = stop

    def _record(self, at: int) -> _Record:
        head, kind, length = unpack_from("<HHI", self._content, at)
        return head >> 4, kind, at + 8, min(at + 8 + length, len(self._content))

    def _kind(self, at: int) -> int:
        return self._record(at)[1] if 0 <= at <= len(self._content) - 8 else 0
