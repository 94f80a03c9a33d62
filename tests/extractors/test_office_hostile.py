"""Documents that are damaged, locked, or made to harm."""

import os
from contextlib import aclosing, suppress
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest
from tests.extractors.reading import DOCUMENTS, EPUB, OPEN, SHEETS, SLIDES, WORD, changed, in_order, read
from tests.extractors.test_office import TEXT

from mediary.errors import UnreadableError
from mediary.extractors.base import Wanted
from mediary.extractors.registry import Extractors
from mediary.sandbox.pool import Sandbox

OFFICE = DOCUMENTS / "office"
SECRET = "the secret of the house"
LAUGHS = "<!DOCTYPE x [<!ENTITY a0 'ha'>" + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
DAMAGED = [
    ("report.docx", WORD, 5000),
    ("report.odt", f"{OPEN}text", 9000),
    ("slides.pptx", SLIDES, 20000),
    ("slides.odp", f"{OPEN}presentation", 9000),
    ("costs.xlsx", SHEETS, 4000),
    ("costs.ods", f"{OPEN}spreadsheet", 6000),
    ("costs.xls", "application/vnd.ms-excel", 3000),
    ("report.doc", "application/msword", 9000),
    ("slides.ppt", "application/vnd.ms-powerpoint", 30000),
    ("pandoc.epub", EPUB, 3000),
    ("../mail/outlook.msg", "application/vnd.ms-outlook", 2000),
]


@pytest.mark.parametrize(("name", "media_type", "size"), DAMAGED)
def test_a_cut_document_is_reported(name: str, media_type: str, size: int) -> None:
    with pytest.raises(UnreadableError, match="damaged"):
        read((OFFICE / name).read_bytes()[:size], media_type)


@pytest.mark.parametrize(("name", "media_type", "size"), DAMAGED)
def test_a_document_of_another_kind_is_reported(name: str, media_type: str, size: int) -> None:
    with pytest.raises(UnreadableError):
        read(b"no document at all " * 100, media_type)


@pytest.mark.parametrize(("name", "media_type", "size"), DAMAGED)
def test_a_document_with_wrong_bytes_is_read_or_reported(name: str, media_type: str, size: int) -> None:
    content = (OFFICE / name).read_bytes()
    for step in range(7):
        wrong = bytearray(content)
        for at in range(200 + step, len(wrong), 997 + 100 * step):
            wrong[at] ^= 0x55
        with suppress(UnreadableError):
            read(bytes(wrong), media_type)


@pytest.mark.parametrize(
    "text", [b"{\\rtf1 {{{{", b"}}}}", b"{\\rtf1 \\u \\'zz \\bin999999999 x", b"{\\rtf1\\trowd\\cell\\row\\row"]
)
def test_rtf_that_is_damaged_is_read_as_far_as_it_goes(text: bytes) -> None:
    assert isinstance(read(text, "application/rtf")[0], str)


@pytest.mark.parametrize(
    ("name", "media_type", "part"),
    [
        ("report.docx", WORD, "word/document.xml"),
        ("slides.pptx", SLIDES, "ppt/slides/slide1.xml"),
        ("report.odt", f"{OPEN}text", "content.xml"),
        ("pandoc.epub", EPUB, "META-INF/container.xml"),
        ("costs.xlsx", SHEETS, "docProps/core.xml"),
    ],
)
def test_entities_are_neither_expanded_nor_opened(name: str, media_type: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    with ZipFile(OFFICE / name) as archive:
        xml = archive.read(part).decode().partition("?>")[2]
    for declared, used in (
        (f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{tmp_path}/secret">]>', "&e;"),
        (f"{LAUGHS}]>", "&a11;"),
        (f'<!DOCTYPE x [<!ENTITY % e SYSTEM "file://{tmp_path}/secret"> %e;]>', ""),
    ):
        start = xml.index(">", xml.index("<")) + 1
        document = changed(OFFICE / name, {part: declared + xml[:start] + used + xml[start:]})

        with pytest.raises(UnreadableError, match="entities"):
            read(document, media_type)


@pytest.mark.parametrize(
    ("media_type", "text"),
    [
        ("text/html", f"{LAUGHS}]><html><p>&a11;</p><p>end</p>"),
        ("text/html", '<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]><html><p>&e;</p><p>end</p>'),
        ("text/html", '<iframe src="file://{secret}"></iframe><object data="file://{secret}"></object><p>end</p>'),
        ("text/html", '<!--#include file="{secret}"--><link rel="import" href="file://{secret}"><p>end</p>'),
        ("application/rtf", '{{\\rtf1{{\\field{{\\*\\fldinst INCLUDETEXT "{secret}"}}{{\\fldrslt x}}}}end}}'),
    ],
)
def test_what_a_page_refers_to_is_not_opened(media_type: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    text = text.replace("{secret}", f"{tmp_path}/secret").replace("{{", "{").replace("}}", "}")

    found, _ = read(text.encode(), media_type)

    assert "end" in found
    assert SECRET not in found
    assert len(found) < 1000


@pytest.mark.parametrize(
    "media_type", ["application/docbook+xml", "application/x-fictionbook+xml", f"{OPEN}text-flat-xml"]
)
def test_entities_of_xml_are_refused(media_type: str) -> None:
    with pytest.raises(UnreadableError, match="entities"):
        read(f"{LAUGHS}]><article><para>&a11;</para></article>".encode(), media_type)


@pytest.mark.parametrize(
    ("name", "media_type", "part"),
    [
        ("report.docx", WORD, "word/document.xml"),
        ("costs.xlsx", SHEETS, "xl/worksheets/sheet1.xml"),
        ("pandoc.epub", EPUB, "EPUB/text/ch001.xhtml"),
        ("costs.ods", f"{OPEN}spreadsheet", "content.xml"),
    ],
)
def test_a_part_that_unpacks_to_far_more_than_it_has_is_refused(name: str, media_type: str, part: str) -> None:
    document = changed(OFFICE / name, {part: b"<x>" + b" " * 100_000_000})

    assert len(document) < 200_000
    with pytest.raises(UnreadableError, match="unpacks to far more"):
        read(document, media_type)


def test_open_documents_with_a_password_are_refused() -> None:
    manifest = "<manifest><file-entry><encryption-data/></file-entry></manifest>"
    document = changed(OFFICE / "report.odt", {"META-INF/manifest.xml": manifest})

    with pytest.raises(UnreadableError, match="protected by a password"):
        read(document, f"{OPEN}text")


def test_packed_documents_with_a_password_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.docx"
    with ZipFile(path, "w", ZIP_STORED) as archive:
        archive.writestr("word/document.xml", "x")
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1

    with pytest.raises(UnreadableError, match="protected by a password"):
        read(bytes(content), WORD)


def test_old_word_documents_with_a_password_are_refused() -> None:
    content = bytearray((OFFICE / "report.doc").read_bytes())
    header = content.index(b"\xec\xa5")
    content[header + 11] |= 1

    with pytest.raises(UnreadableError, match="protected by a password"):
        read(bytes(content), "application/msword")


def test_elements_nested_a_million_deep_are_text() -> None:
    for tag, depth in (
        ("div", 1_000_000),
        ("b", 100_000),
        ("ul", 100_000),
        ("blockquote", 100_000),
        ("table", 100_000),
    ):
        page = f"<p>start</p>{f'<{tag}>' * depth}deep{f'</{tag}>' * depth}<p>end</p>"

        text, _ = read(page.encode(), "text/html")

        assert text.startswith("start\n")
        assert "deep" in text
        assert text.endswith("end\n\n")
        assert len(text) < 10_000


def test_paragraphs_nested_too_deeply_are_reported() -> None:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = "<w:p>" * 100_000 + "</w:p>" * 100_000
    document = changed(
        OFFICE / "report.docx",
        {"word/document.xml": f'<w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>'},
    )

    with pytest.raises(UnreadableError, match="nested too deeply"):
        read(document, WORD)


def test_rtf_nested_too_deeply_is_reported() -> None:
    with pytest.raises(UnreadableError, match="nested too deeply"):
        read(b"{\\rtf1" + b"{" * 1_000_000, "application/rtf")


def test_a_mail_of_a_thousand_mails_is_read_to_some_depth() -> None:
    mail = b"Subject: inmost\n\ninmost text\n"
    for number in range(50):
        mail = b"Subject: %d\nContent-Type: message/rfc822\n\n" % number + mail
    many = b"Content-Type: multipart/mixed; boundary=x\nSubject: outer\n\n--x\n\nouter text\n--x\n"
    many += b"Content-Type: message/rfc822\n\n"

    text, _ = read(many + mail + b"\n--x--\n", "message/rfc822")

    assert "outer text" in text


def test_a_table_with_huge_spans_stays_small() -> None:
    page = "<table>" + "<tr><td colspan=999999 rowspan=999999>a</td><td>b</td></tr>" * 100 + "</table>"

    text, _ = read(page.encode(), "text/html")

    assert len(text) < 300_000


def test_a_page_keeps_no_scripts_styles_or_menus() -> None:
    page = (
        "<html lang=de><head><title>The  page</title><meta name=author content=Maria><style>p{}</style></head>"
        "<body><nav><a href=/>Home</a></nav><script>alert(1)</script><template>x</template>"
        "<p hidden>gone</p><div style='display: none'>gone</div>"
        "<p onclick='alert(1)'><a href='javascript:alert(1)'>text</a> &lt;b&gt; * # 1 &amp; 2</p>"
        "<img src='https://e.org/a(1).png' alt='a picture'><img src='data:image/png;base64,AAAA' alt=inside>"
        "<p># no heading"
    )

    text, facts = read(page.encode(), "text/html")

    assert text == (
        "text \\<b> \\* # 1 & 2\n\n[a picture](https://e.org/a%281%29.png)![inside](data:image/png)\n\n"
        "\\# no heading\n\n"
    )
    assert (facts.title, facts.author, facts.language) == ("The page", "Maria", "de")


def test_web_pages_keep_headings_lists_tables_and_links() -> None:
    text, facts = read(DOCUMENTS / "web" / "pandoc.html", "text/html")

    in_order(text, *(part for part in TEXT if "[^1]" not in part), "1. The charter was signed on 5 March 1886.")
    assert (facts.title, facts.author, facts.language) == ("The Harbour Report", "Maria Köhler", "en-GB")


def test_web_pages_of_an_office_program_keep_them_too() -> None:
    text, facts = read(DOCUMENTS / "web" / "office.html", "text/html")

    in_order(
        text,
        TEXT[0],
        TEXT[4],
        "- dredging\n  - the north basin\n    - its quay\n",
        "- building",
        *TEXT[7:12],
        "> Nothing is so",
    )
    assert (facts.title, facts.author) == ("The Harbour Report", "Maria Köhler")


@pytest.mark.parametrize("encoding", ["windows-1251", "koi8-r", "utf-8", "utf-16", "iso-8859-5"])
def test_a_page_is_read_in_its_encoding(encoding: str) -> None:
    page = f'<html><head><meta charset="{encoding}"></head><p>Гавань города</p></html>'

    assert "Гавань города" in read(page.encode(encoding), "text/html")[0]


@pytest.fixture
async def extractors():
    sandbox = Sandbox(1, readable=[], memory_bytes=512 * 1024**2)
    yield Extractors(sandbox)
    await sandbox.close()


async def in_cage(extractors: Extractors, path: Path, media_type: str, extractor: str = "office") -> str:
    wanted = Wanted(path.name, media_type)
    async with aclosing(extractors.extract(path, extractor, wanted, seconds=60)) as pieces:
        return "".join([piece async for piece in pieces if isinstance(piece, str)])


async def test_every_format_is_read_in_the_cage(extractors: Extractors) -> None:
    for folder, name, media_type in [
        *(("office", name, media_type) for name, media_type, _ in DAMAGED[:-1]),
        ("office", "report.rtf", "application/rtf"),
        ("mail", "outlook.msg", "application/vnd.ms-outlook"),
        ("mail", "both.eml", "message/rfc822"),
        ("web", "pandoc.html", "text/html"),
        ("text", "report.ipynb", "application/x-ipynb+json"),
        ("text", "report.fb2", "application/x-fictionbook+xml"),
    ]:
        path = DOCUMENTS / folder / name
        assert await in_cage(extractors, path, media_type) == read(path, media_type)[0], name


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """A document of one table with 400,000 rows."""
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    rows = "".join(f"<w:tr><w:tc><w:p><w:r><w:t>{n:x}</w:t></w:r></w:p></w:tc></w:tr>" for n in range(400_000))
    xml = f'<w:document xmlns:w="{space}"><w:body><w:tbl>{rows}</w:tbl></w:body></w:document>'
    path = tmp_path / "huge.docx"
    path.write_bytes(changed(OFFICE / "report.docx", {"word/document.xml": xml}))
    return path


async def test_a_huge_document_meets_the_limit_of_memory_and_the_next_goes_on(huge: Path) -> None:
    sandbox = Sandbox(1, readable=[], memory_bytes=192 * 1024**2)
    extractors = Extractors(sandbox)

    with pytest.raises(UnreadableError, match="memory"):
        await in_cage(extractors, huge, WORD)

    assert "Harbour" in await in_cage(extractors, OFFICE / "report.docx", WORD)
    await sandbox.close()


async def test_a_cell_that_is_repeated_endlessly_meets_a_limit(extractors: Extractors, tmp_path: Path) -> None:
    space = "urn:oasis:names:tc:opendocument:xmlns:"
    content = (
        f'<office:document-content xmlns:table="{space}table:1.0" xmlns:office="{space}office:1.0"'
        f' xmlns:text="{space}text:1.0"><office:body><office:spreadsheet><table:table table:name="a">'
        '<table:table-row table:number-rows-repeated="1048576">'
        '<table:table-cell table:number-columns-repeated="99999999" office:value-type="string"><text:p>ha</text:p>'
        "</table:table-cell></table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"
    )
    path = tmp_path / "x.ods"
    path.write_bytes(changed(OFFICE / "costs.ods", {"content.xml": content}))

    with pytest.raises(UnreadableError):
        await in_cage(extractors, path, f"{OPEN}spreadsheet")

    assert "Harbour" in await in_cage(extractors, OFFICE / "report.docx", WORD)


async def test_other_bytes_than_the_name_says_are_reported(extractors: Extractors, tmp_path: Path) -> None:
    path = tmp_path / "x.doc"
    path.write_bytes(os.urandom(10_000))

    with pytest.raises(UnreadableError):
        await in_cage(extractors, path, "application/msword")
