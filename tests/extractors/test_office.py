import struct

import pytest
from tests.extractors.reading import DOCUMENTS, EPUB, OPEN, SHEETS, SLIDES, WORD, changed, in_order, read

OFFICE = DOCUMENTS / "office"

TEXT = (
    "# Harbour works\n",
    "Östmark",
    "was dredged in",
    "1887",
    "[charter](https://example.org/charter?a=1&b=2) is kept",
    "town hall.[^1] Prices rose by 4.5 % & fees < 10 € stayed.",
    "## What was done\n\n- dredging\n  - the north basin\n    - its quay\n  - the south basin\n"
    "- building\n- lighting\n",
    "1. Survey the ground\n2. Drive the piles\n   1. oak piles\n   2. steel piles\n3. Lay the deck\n",
    "## Costs\n",
    "| Item | Year | Cost (€) |\n| --- | --- | --- |\n| Dredging | 1887 | 12,500 |\n| Piles | 1888 | 8,750 |\n",
    "| Lamps | 1890 | 640 |\n",
    "### A remark\n",
    "Nothing is so lasting as the provisional.",
    "harbour --check",
    "def depth(tide: float) -> float:",
    "Line one  \nline two, with",
    "## Zum Schluß\n",
    "Ende gut, alles gut: Größe, Straße, naïve café, Ελλάδα, Москва, 東京.",
    "[^1]: The charter was signed on 5 March 1886.",
)
MARKED = ("**Östmark** was dredged in *1887*;", "~~struck~~ text, H~2~O and x^2^.")

TEXTS = {
    "pandoc.docx": WORD,
    "report.docx": WORD,
    "pandoc.odt": f"{OPEN}text",
    "report.odt": f"{OPEN}text",
    "report.fodt": f"{OPEN}text-flat-xml",
    "pandoc.rtf": "application/rtf",
    "report.rtf": "application/rtf",
    "report.doc": "application/msword",
}


@pytest.mark.parametrize("name", TEXTS)
def test_headings_lists_tables_and_links_of_a_text_survive(name: str) -> None:
    text, facts = read(OFFICE / name, TEXTS[name], name=name)

    in_order(text, *TEXT)
    if name != "report.doc":
        in_order(text, *MARKED)
    if name != "pandoc.rtf":  # Pandoc writes none
        assert (facts.title, facts.author) == ("The Harbour Report", "Maria Köhler")
    if not name.endswith((".rtf", ".doc")):
        assert facts.language == "en-GB"


@pytest.mark.parametrize("name", ["pandoc.docx", "report.docx", "pandoc.odt", "report.odt", "report.rtf", "report.doc"])
def test_the_title_of_a_text_is_its_first_heading(name: str) -> None:
    text, _ = read(OFFICE / name, TEXTS[name])

    assert text.startswith("# The Harbour Report\n\nMaria Köhler\n\n2024-03-05\n\n")


@pytest.mark.parametrize(
    "name", ["pandoc.docx", "report.docx", "pandoc.odt", "report.odt", "report.fodt", "report.rtf"]
)
def test_code_is_fenced_and_a_quotation_is_marked(name: str) -> None:
    text, _ = read(OFFICE / name, TEXTS[name])

    in_order(text, "> Nothing is so", "```\ndef depth(tide: float) -> float:\n    return 4.2 + tide  # metres\n```\n")


def test_pictures_are_noted() -> None:
    assert "![A picture of the quay](" in read(OFFICE / "pandoc.docx", WORD)[0]
    assert "![" in read(OFFICE / "report.odt", f"{OPEN}text")[0]


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("pandoc.pptx", SLIDES),
        ("slides.pptx", SLIDES),
        ("slides.odp", f"{OPEN}presentation"),
    ],
)
def test_slides_come_in_order_with_titles_and_notes(name: str, media_type: str) -> None:
    text, facts = read(OFFICE / name, media_type)

    in_order(
        text,
        "## Harbour Plans\n\nMaria Köhler\n",
        "## Where we stand\n\n- The north basin is *done*\n- The south basin waits\n  - for steel\n",
        "  - for [money](https://example.org/money)\n\n### Notes\n\nSay this slowly: the money comes in May.\n",
        "## What it costs\n\n| Item | Cost |\n| --- | --- |\n| Dredging | 12,500 |\n| Lamps | 640 |\n",
        "## Next steps\n\n1. Ask the council\n2. Order the lamps\n\n### Notes\n\nDo not forget the lamps.",
    )
    assert (facts.title, facts.author, facts.pages) == ("Harbour Plans", "Maria Köhler", 4)


def test_old_slides_come_in_order_with_titles_and_notes() -> None:
    text, facts = read(OFFICE / "slides.ppt", "application/vnd.ms-powerpoint")

    in_order(
        text,
        *("## Harbour Plans\n", "Maria Köhler", "## Where we stand\n", "The north basin is done", "for steel"),
        *("### Notes\n\nSay this slowly: the money comes in May.", "## What it costs\n", "Dredging", "12,500", "Lamps"),
        *("## Next steps\n", "Ask the council", "Order the lamps", "### Notes\n\nDo not forget the lamps."),
    )
    assert (facts.title, facts.author, facts.pages) == ("Harbour Plans", "Maria Köhler", 4)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("costs.xlsx", SHEETS), ("costs.ods", f"{OPEN}spreadsheet"), ("costs.xls", "application/vnd.ms-excel")],
)
def test_sheets_are_tables_with_values_as_people_write_them(name: str, media_type: str) -> None:
    text, facts = read(OFFICE / name, media_type)

    assert text == (
        "## Costs\n\n"
        "| Item | Paid on | Amount | Share | Done |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| Dredging | 1987-05-04 | 12500.75 | 0.575 | TRUE |\n"
        "| Piles \\| oak<br>and steel | 1988-06-30 14:30 | 8750 | 0.425 | FALSE |\n"
        "| Total, see ledger |  | 21250.75 |  |  |\n\n"
        "## Opening hours (hidden)\n\n"
        "| Day | From |\n| --- | --- |\n| Monday | 08:15 |\n\n"
        "## Empty\n\n"
    )
    assert facts.pages == 3
    if name != "costs.xls":
        assert (facts.title, facts.author, facts.language) == ("Harbour costs", "Maria Köhler", "en-GB")


def test_numbers_of_a_sheet_have_the_digits_that_people_see() -> None:
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    values = ("13334.333999999999", "0.30000000000000004", "46666.662000000004", "-2.5", "1e-07", "12500.0")
    cells = "".join(f'<c r="{column}1"><v>{value}</v></c>' for column, value in zip("ABCDEF", values, strict=True))
    sheet = f'<worksheet xmlns="{space}"><sheetData><row r="1">{cells}</row></sheetData></worksheet>'
    book = changed(OFFICE / "costs.xlsx", {"xl/worksheets/sheet1.xml": sheet})

    assert "| 13334.334 | 0.3 | 46666.662 | -2.5 | 1e-07 | 12500 |" in read(book, SHEETS)[0]


def test_a_book_is_read_chapter_by_chapter() -> None:
    text, facts = read(OFFICE / "pandoc.epub", EPUB)

    in_order(text, "# The Harbour Report", *(part for part in TEXT if "[^1]" not in part))
    in_order(
        text, "**Östmark**", "town hall.[1] Prices", "> Nothing is so", "```python\ndef depth", "1. The charter was"
    )
    assert (facts.title, facts.author, facts.language) == ("The Harbour Report", "Maria Köhler", "en-GB")


def test_the_chapters_of_a_book_come_as_its_spine_has_them() -> None:
    chapter = (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>%s</body></html>'
    )
    book = changed(
        OFFICE / "pandoc.epub",
        {
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="a/book.opf"/></rootfiles></container>',
            "a/book.opf": '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
            '<item id="1" href="b.xhtml" media-type="application/xhtml+xml"/>'
            '<item id="2" href="c%20d.xhtml" media-type="application/xhtml+xml"/>'
            '<item id="3" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/></manifest>'
            '<spine><itemref idref="3"/><itemref idref="2"/><itemref idref="1"/></spine></package>',
            "a/b.xhtml": chapter % '<p>Then <a id="x"/>this.</p>',
            "a/c d.xhtml": chapter % "<h1>First</h1>",
            "a/nav.xhtml": chapter % "<p>Contents</p>",
        },
    )

    assert read(book, EPUB)[0] == "# First\n\nThen this.\n\n"


def test_mail_has_its_head_its_plain_text_and_the_names_of_what_was_attached() -> None:
    text, facts = read(DOCUMENTS / "mail" / "both.eml", "message/rfc822")

    assert text == (
        "# The harbour: Größe & Straße\n\n"
        "**From:** Maria Köhler <maria@example.org>  \n"
        "**To:** Jón Þórsson <jon@example.org>, harbour@example.org  \n"
        "**Cc:** council@example.org  \n"
        "**Date:** Tue, 05 Mar 2024 09:30:00 +0000\n\n"
        "Dear Jón,\n\nthe lamps cost 640 €.\n\n> What do they cost?\n\nMaria\n\n"
        "**Attachments:**\n\n- lamps.pdf\n- Grüße aus Köln.zip\n\n"
    )
    assert (facts.title, facts.author) == ("The harbour: Größe & Straße", "Maria Köhler <maria@example.org>")


def test_mail_without_plain_text_is_read_from_its_html() -> None:
    text, _ = read(DOCUMENTS / "mail" / "html.eml", "message/rfc822")

    in_order(text, "## Lamps\n\n- oil\n- gas\n", "See [the list](https://example.org/lamps).", "| oil | 640 |")
    assert "color" not in text
    assert "tracker" not in text


def test_a_mail_within_a_mail_is_read_as_well() -> None:
    text, _ = read(DOCUMENTS / "mail" / "forwarded.eml", "message/rfc822")

    in_order(text, "# Fwd: the harbour", "For your files.", "## The harbour: Größe & Straße", "the lamps cost 640 €.")
    assert text.count("lamps.pdf") == 1


def test_an_outlook_message_is_read_like_mail() -> None:
    text, facts = read(DOCUMENTS / "mail" / "outlook.msg", "application/vnd.ms-outlook")

    in_order(
        text,
        "# The harbour: Größe & Straße\n\n**From:** Maria Köhler <maria@example.org>  \n**To:** Jón Þórsson;",
        "**Cc:** council@example.org  \n**Date:** Tue, 05 Mar 2024 09:30:00 +0000\n\nDear Jón,\n\nthe lamps cost 640 €",
        "> What do they cost?\n\nMaria\n\n**Attachments:**\n\n",
    )
    assert "- lamps.pdf\n" in text
    assert "- Grüße.docx\n" in text
    assert facts.title == "The harbour: Größe & Straße"


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("report.dbk", "application/docbook+xml"),
        ("report.jats", "application/x-jats+xml"),
    ],
)
def test_articles_in_xml_are_read(name: str, media_type: str) -> None:
    text, facts = read(DOCUMENTS / "text" / name, media_type)

    in_order(text, "# The Harbour Report", "## Harbour works", "**Östmark** was dredged in *1887*;", TEXT[4])
    in_order(text, "fees < 10 €", *(part.replace("## ", "### ") for part in TEXT[6:11]), "#### A remark", TEXT[-2])
    assert "The charter was signed" in text
    assert (facts.title, facts.author) == ("The Harbour Report", "Maria Köhler")


def test_a_fiction_book_is_read() -> None:
    text, facts = read(DOCUMENTS / "text" / "report.fb2", "application/x-fictionbook+xml")

    in_order(text, "# The Harbour Report", "## Harbour works", "**Östmark** was dredged in *1887*;", TEXT[4])
    in_order(
        text, "fees < 10 €", "the north basin", "### Costs", *TEXT[9:11], "#### A remark", "> Nothing is", TEXT[-2]
    )
    assert (facts.title, facts.author, facts.language) == ("The Harbour Report", "Maria Köhler", "en")


def test_a_notebook_is_its_cells() -> None:
    text, _ = read(DOCUMENTS / "text" / "report.ipynb", "application/x-ipynb+json")

    in_order(text, "# Harbour works", "**Östmark**", "[charter](https://example.org/charter?a=1&b=2)", "東京")


def test_code_and_output_of_a_notebook_are_fenced() -> None:
    book = (
        b'{"metadata": {"language_info": {"name": "python"}, "title": "Tides"}, "cells": ['
        b'{"cell_type": "markdown", "source": ["# Tides\\n", "Read."]},'
        b'{"cell_type": "code", "source": "print(1)", "outputs": [{"text": ["1\\n"]},'
        b'{"data": {"text/html": "<table><tr><td>a</td><td>b</td></tr></table>", "text/plain": "a b"}},'
        b'{"data": {"image/png": "iVBOR", "text/plain": "<Figure>"}},'
        b'{"traceback": ["\\u001b[31mError\\u001b[0m"]}]}]}'
    )

    text, facts = read(book, "application/x-ipynb+json")

    in_order(
        text, "# Tides\nRead.\n\n```python\nprint(1)\n```\n\n```\n1\n```\n\n| a | b |", "<Figure>", "```\nError\n```"
    )
    assert facts.title == "Tides"


def test_changes_in_a_word_document_are_accepted() -> None:
    body = (
        "<w:p><w:r><w:t>The </w:t></w:r><w:del><w:r><w:delText>old</w:delText><w:t>old</w:t></w:r></w:del>"
        "<w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:r><w:t> quay</w:t></w:r></w:p>"
        "<w:p><w:r><w:rPr><w:b/></w:rPr><w:t>bo</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>ld</w:t></w:r></w:p>"
        '<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> HYPERLINK "https://e.org/" </w:instrText>'
        '</w:r><w:r><w:rPr><w:b/></w:rPr><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>there</w:t></w:r>'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>'
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr>"
        '<w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr><w:p><w:r><w:t>wide</w:t></w:r></w:p></w:tc></w:tr>'
        "</w:tbl>"
    )
    document = changed(OFFICE / "report.docx", {"word/document.xml": word(body)})

    assert read(document, WORD)[0] == (
        "The new quay\n\n**bold**\n\n[there](https://e.org/)\n\n| a | b |\n| --- | --- |\n| wide |  |\n\n"
    )


def test_numbered_lists_of_word_count_on_and_restart_where_they_say_so() -> None:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    level = '<w:lvl w:ilvl="{}"><w:start w:val="1"/><w:numFmt w:val="decimal"/></w:lvl>'
    restart = '<w:lvlOverride w:ilvl="{}"><w:startOverride w:val="{}"/></w:lvlOverride>'
    lists = "".join(
        (
            f'<w:abstractNum w:abstractNumId="5">{level.format(0)}{level.format(1)}</w:abstractNum>',
            '<w:num w:numId="1"><w:abstractNumId w:val="5"/></w:num>',
            f'<w:num w:numId="2"><w:abstractNumId w:val="5"/>{restart.format(0, 1)}</w:num>',
            f'<w:num w:numId="3"><w:abstractNumId w:val="5"/>{restart.format(1, 4)}</w:num>',
        )
    )
    items = [("a", 2, 0), ("b", 1, 0), ("c", 3, 1), ("d", 1, 1), ("e", 1, 0), (None, 0, 0), ("f", 1, 0)]
    body = "".join(
        f'<w:p><w:pPr><w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{number}"/></w:numPr></w:pPr>'
        f"<w:r><w:t>{name or 'between'}</w:t></w:r></w:p>"
        for name, number, depth in items
    )
    numbering = f'<?xml version="1.0"?><w:numbering xmlns:w="{space}">{lists}</w:numbering>'
    again = body.replace('w:numId w:val="2"', 'w:numId w:val="1"').replace(">a<", ">g<")
    document = changed(
        OFFICE / "report.docx", {"word/document.xml": word(body + again), "word/numbering.xml": numbering}
    )

    assert read(document, WORD)[0].startswith(
        "1. a\n2. b\n   4. c\n   5. d\n3. e\n\nbetween\n\n4. f\n5. g\n6. b\n   4. c\n   5. d\n7. e\n"
    )


def test_two_numbered_lists_of_one_kind_in_word_are_two() -> None:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    level = '<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/></w:lvl>'
    lists = f'<w:abstractNum w:abstractNumId="5">{level}</w:abstractNum>' + "".join(
        f'<w:num w:numId="{number}"><w:abstractNumId w:val="5"/>'
        '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride></w:num>'
        for number in (1, 2)
    )
    body = "".join(
        f'<w:p><w:pPr><w:numPr><w:numId w:val="{number}"/></w:numPr></w:pPr><w:r><w:t>{name}</w:t></w:r></w:p>'
        for name, number in (("a", 1), ("b", 1), ("c", 2), ("d", 2))
    )
    numbering = f'<?xml version="1.0"?><w:numbering xmlns:w="{space}">{lists}</w:numbering>'
    document = changed(OFFICE / "report.docx", {"word/document.xml": word(body), "word/numbering.xml": numbering})

    assert read(document, WORD)[0].split() == ["1.", "a", "2.", "b", "1.", "c", "2.", "d"]


def test_a_table_of_dbase_is_read_in_its_encoding() -> None:
    fields = [(b"NAME", b"C", 12), (b"COST", b"N", 8), (b"PAID", b"D", 8), (b"NOTE", b"M", 10)]
    head = struct.pack("<B3BIHH17xB2x", 3, 124, 3, 5, 3, 32 + 32 * len(fields) + 1, 39, 0x01)
    head += b"".join(struct.pack("<11sc4xB15x", *field) for field in fields) + b"\r"
    records = "".join(
        f"{mark}{name:12}{cost:8}{paid:8}{note:10}"
        for mark, name, cost, paid, note in (
            (" ", "Dredging", "12500.75", "19870504", "1"),
            ("*", "Deleted", "1", "18900101", ""),
            (" ", "Köln|Öl", "640.00", "18901231", ""),
        )
    )

    text, _ = read(head + records.encode("cp437") + b"\x1a", "application/x-dbf")

    assert text == (
        "| NAME | COST | PAID | NOTE |\n| --- | --- | --- | --- |\n"
        "| Dredging | 12500.75 | 1987-05-04 |  |\n| Köln\\|Öl | 640.00 | 1890-12-31 |  |\n"
    )


def test_a_language_that_is_none_is_left_out() -> None:
    for language, kept in (("C", None), ("de", "de"), ("zh-Hant-TW", "zh-Hant-TW"), ("deutsch bitte", None)):
        core = f'<x xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:language>{language}</dc:language></x>'

        assert read(changed(OFFICE / "report.docx", {"docProps/core.xml": core}), WORD)[1].language == kept


def word(body: str) -> str:
    """The main part of a Word document."""
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    return f'<?xml version="1.0"?><w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>'
