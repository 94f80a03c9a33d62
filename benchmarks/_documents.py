"""The documents of the bucket figures, made by the programs that people use, or as those write them."""

import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from openpyxl import Workbook

MB = 1024 * 1024
VOCABULARY = """
the of and harbour contract tenant shall pay rent each month before ninth day notice in writing
party lease agreement term deposit euro landlord repair damage insurance premises building court law
clause section annex schedule signature witness date number payment interest rate late fee water
heating electricity common area garden parking key storey window door roof wall floor paint clean
inspect right access sublet transfer assign consent reasonable delay
"""
WORDS = VOCABULARY.split()


def prose(seed: int, words: int) -> str:
    """Sentences, in paragraphs of eight."""
    chance = random.Random(seed)
    sentences = []
    while words > 0:
        length = min(words, chance.randint(6, 22))
        sentences.append(" ".join(chance.choices(WORDS, k=length)).capitalize() + f" {chance.randint(1, 9999)}.")
        words -= length
    return "\n\n".join(" ".join(sentences[at : at + 8]) for at in range(0, len(sentences), 8))


def make_pdf(path: Path, pages: int) -> None:
    """A contract of so many pages, with headings and some tables, printed by Chromium."""
    program = shutil.which("chromium")
    if program is None:
        sys.exit("this benchmark needs chromium")
    page = path.with_suffix(".html")
    page.write_text(
        "<meta charset=utf-8><style>section{break-after:page;font:11pt serif}td{border:1px solid}</style>"
        + "".join(f"<section>{''.join(_page(number))}</section>" for number in range(pages)),
        encoding="utf-8",
    )
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer")
    command = [program, *options, f"--print-to-pdf={path}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


def _page(number: int) -> Iterator[str]:
    yield f"<h2>Section {number + 1}</h2>"
    yield from (f"<p>{paragraph}</p>" for paragraph in prose(number, 300).split("\n\n"))
    if number % 4 == 0:
        rows = (f"<tr><td>Item {row}</td><td>{row * 37 + number}</td><td>{row / 7:.2f}</td></tr>" for row in range(6))
        yield f"<table>{''.join(rows)}</table>"


def make_docx(path: Path, sections: int) -> None:
    """A report with headings and prose, as Word writes it."""
    paragraphs = []
    for number in range(sections):
        paragraphs.append(_paragraph(f"Section {number + 1}", '<w:pPr><w:pStyle w:val="Heading1"/></w:pPr>'))
        paragraphs += [_paragraph(text) for text in prose(number, 300).split("\n\n")]
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default '
        'Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{main}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{relations}"><Relationship Id="r1" Type="{office}" '
        'Target="word/document.xml"/></Relationships>',
        "word/document.xml": '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        f"<w:body>{''.join(paragraphs)}</w:body></w:document>",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n' + text)


def _paragraph(text: str, style: str = "") -> str:
    return f"<w:p>{style}<w:r><w:t>{text}</w:t></w:r></w:p>"


def make_xlsx(path: Path, rows: int) -> None:
    """A sheet of orders."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Orders")
    sheet.append([f"Column {column}" for column in range(12)])
    for row in range(rows):
        sheet.append([row, f"Order {row}", *(row * column / 7 for column in range(5)), *WORDS[row % 50 : row % 50 + 5]])
    book.save(path)


def make_text(path: Path, size: int) -> None:
    """Prose of that many bytes."""
    block = prose(1, 100_000).encode() + b"\n\n"
    with path.open("wb") as file:
        for number in range(size // len(block) + 1):
            file.write(b"Part %d\n\n" % number + block)
        file.truncate(size)


def make_zip(path: Path, members: int) -> None:
    """An archive of small texts."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(members):
            archive.writestr(f"notes/{number:03}.txt", prose(number, 600))
