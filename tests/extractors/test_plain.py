# ruff: noqa: RUF001 - texts in many scripts
import json
from contextlib import aclosing
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.extractors.reading import MEBIBYTE, read

from mediary.extractors import charset, markdown, plain
from mediary.extractors.base import Wanted
from mediary.extractors.registry import Extractors
from mediary.sandbox.pool import Sandbox

GERMAN = "Im Hafen von Östmark wurde 1887 gebaggert. Größe und Straße, schöne Gäste aus Köln.\n"
EURO = "Die Lampen kosten 12 € – „so ist das“, sagte Jürgen, und ging über die Brücke nach Hause.\n"
FRENCH = "Les bateaux arrivent au port très tôt, où la marée est déjà haute, et l'œuvre coûte 20 €.\n"
RUSSIAN = "Гавань города была углублена в прошлом веке, и с тех пор она служит всем кораблям.\n"
POLISH = "Zażółć gęślą jaźń. Przystań miasta została pogłębiona w zeszłym wieku.\n"
GREEK = "Το λιμάνι της πόλης βάθυνε τον περασμένο αιώνα.\n"
TURKISH = "İstanbul limanı geçen yüzyılda derinleştirildi, şehir büyüdü ve gemiler geliyor.\n"
HEBREW = "הנמל של העיר הועמק במאה שעברה והוא משרת את כל האוניות.\n"
ARABIC = "تم تعميق ميناء المدينة في القرن الماضي وهو يخدم جميع السفن.\n"
JAPANESE = "港は昨年深くなりました。すべての船がここに来ます。東京の港です。\n"
CHINESE = "这个港口去年加深了，所有的船都到这里来。东京的港口。\n"
TAIWANESE = "這個港口去年加深了，所有的船都到這裡來。東京的港口。\n"
KOREAN = "항구는 작년에 깊어졌습니다. 모든 배가 여기에 옵니다.\n"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        *(
            (encoding, GERMAN + RUSSIAN)
            for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
        ),
        *((encoding, GERMAN) for encoding in ("utf-32-le", "utf-32-be", "iso-8859-1", "cp437")),
        *(("utf-16-le", text) for text in (CHINESE + "abc\n", RUSSIAN, GREEK)),
        *((encoding, EURO) for encoding in ("windows-1252", "utf-16-be")),
        ("iso-8859-15", FRENCH),
        *((encoding, RUSSIAN) for encoding in ("koi8-r", "windows-1251", "iso-8859-5", "utf-16-be")),
        *((encoding, POLISH) for encoding in ("iso-8859-2", "windows-1250")),
        *((encoding, GREEK) for encoding in ("iso-8859-7", "windows-1253")),
        ("windows-1254", TURKISH),
        ("windows-1255", HEBREW),
        ("windows-1256", ARABIC),
        *((encoding, JAPANESE) for encoding in ("shift-jis", "euc-jp", "iso-2022-jp")),
        *((encoding, CHINESE) for encoding in ("gb18030", "gb2312")),
        ("big5", TAIWANESE),
        ("euc-kr", KOREAN),
    ],
)
@pytest.mark.parametrize("times", [1, 30, 5000])
def test_the_encoding_of_a_text_is_found(encoding: str, text: str, times: int) -> None:
    text *= times

    assert read(text.encode(encoding), "text/plain", by="plain")[0] == text


@pytest.mark.parametrize(
    "text",
    [
        "Monat;Umsatz\nMärz;12,50\nSumme;geprüft\n" + "Januar;20001,5\n" * 20,
        "Month,Notes\nMarch,geprüft\nZusammengefaßte Zelle,20%\nMärz,1\n",
        "Preis: 12,50 € je Stück",
        "Straße",
        "12 €",
        "L’été à la plage — “ok”",
        "§ 5 Abs. 2: 3 m² à 20 °C",
    ],
)
def test_few_letters_tell_that_a_text_is_western(text: str) -> None:
    assert read(text.encode("cp1252"), "text/plain", by="plain")[0] == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("gb18030", "id,name,price\n1,苹果,3.5\n2,香蕉,4\n3,orange,5\n"),
        ("big5", "港口去年加深了"),
        ("shift-jis", "名前,年\n山田,3\n"),
        ("windows-1251", "Имя;Год\nИван и Анна;3\n"),
        ("cp437", "Größe und Länge für Jürgen"),
    ],
)
def test_few_letters_of_other_scripts_stay_theirs(encoding: str, text: str) -> None:
    assert read(text.encode(encoding), "text/plain", by="plain")[0] == text


def test_an_encoding_that_shows_after_the_sample_is_found() -> None:
    text = "plain words only\n" * 20_000 + GERMAN * 20_000

    assert read(text.encode("cp1252"), "text/plain", by="plain")[0] == text


def test_a_few_wrong_bytes_spoil_nothing_else() -> None:
    content = (GERMAN * 10_000).encode() + b"\xff\xfe\n" + GERMAN.encode()

    text, _ = read(content, "text/plain", by="plain")

    assert text.startswith(GERMAN * 10_000)
    assert text.endswith(f"\ufffd\n{GERMAN}")


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_cut_last_character_is_shown(cut: int) -> None:
    assert read("words 🎉".encode()[:-cut], "text/plain", by="plain")[0] == "words \ufffd"


def test_ends_of_lines_and_zeros_are_made_readable() -> None:
    assert read(b"one\r\ntwo\rthree\0\xc3\xb6\n", "text/plain", by="plain")[0] == "one\ntwo\nthree\ufffdö\n"


@given(text=st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])))
def test_text_with_a_mark_comes_back_as_it_was(text: str) -> None:
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        assert "".join(charset.text_of(BytesIO(text.encode(encoding)))) == text.removeprefix("\ufeff")


@given(content=st.binary(max_size=2000))
def test_any_bytes_are_some_text(content: bytes) -> None:
    assert isinstance(read(content, "text/plain", by="plain")[0], str)


@pytest.mark.parametrize(
    ("media_type", "language"),
    [
        ("text/x-python", "python"),
        ("text/x-c++", "c++"),
        ("application/json", "json"),
        ("application/xml", "xml"),
        ("image/svg+xml", "xml"),
        ("application/x-yaml", "yaml"),
        ("application/toml", "toml"),
        ("application/x-latex", "latex"),
        ("text/x-bibtex", "bibtex"),
    ],
)
def test_source_is_fenced_with_its_language(media_type: str, language: str) -> None:
    assert read(b"a\n  b\n", media_type, by="plain")[0] == f"```{language}\na\n  b\n```\n"
    assert read(b"a", media_type, by="plain")[0] == f"```{language}\na\n```\n"


def test_the_fence_is_longer_than_any_within() -> None:
    source = "x = '''\n````\n```\n'''\n"

    assert read(source.encode(), "text/x-python", by="plain")[0] == f"`````python\n{source}`````\n"


@pytest.mark.parametrize("at", [*range(charset.SAMPLE - 7, charset.SAMPLE + 2), charset.SAMPLE * 3 - 2])
def test_a_fence_that_lies_across_two_blocks_is_seen(at: int) -> None:
    source = "x" * (at - 1) + "\n`````\n"

    assert read(source.encode(), "text/x-python", by="plain")[0] == f"``````python\n{source}``````\n"


def test_external_entities_and_includes_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret words")
    for media_type, source in (
        ("application/xml", f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{tmp_path}/secret">]><x>&e;</x>'),
        ("image/svg+xml", f'<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{tmp_path}/secret"/></svg>'),
        ("application/x-latex", f"\\input{{{tmp_path}/secret}}"),
        ("text/x-rst", f".. include:: {tmp_path}/secret"),
    ):
        text, _ = read(source.encode(), media_type, by="plain")
        assert source in text
        assert "secret words" not in text


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        ('Item,Cost\nLamps,640\n"Piles, oak | steel","8,750"\n', "text/csv"),
        ('Item;Cost\nLamps;640\n"Piles, oak | steel";8,750\n', "text/csv"),
        ("Item\tCost\nLamps\t640\nPiles, oak | steel\t8,750\n", "text/tab-separated-values"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separated_values_are_a_table(content: str, media_type: str, encoding: str) -> None:
    assert read(content.encode(encoding), media_type, by="plain")[0] == (
        "| Item | Cost |\n| --- | --- |\n| Lamps | 640 |\n| Piles, oak \\| steel | 8,750 |\n"
    )


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n" + "1,2\n" * 3000,
        "no separator at all\nnor here\n",
        "a,b\n" + "x" * 200_000 + ",1\n",
        "a" * 3_000_000,
        ",".join("abc" * 100) + "\n",
    ],
)
def test_values_that_make_no_readable_table_are_fenced(content: str) -> None:
    text, _ = read(content.encode(), "text/csv", by="plain")

    assert text == f"```csv\n{content}" + ("" if content.endswith("\n") else "\n") + "```\n"


@given(rows=st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=4), min_size=1, max_size=8))
def test_every_row_of_a_table_is_a_line(rows: list[list[str]]) -> None:
    table = markdown.table(rows)

    assert len(table.split("\n")) == len(rows) + 1
    assert not any("\r" in line for line in table.split("\n"))


@given(text=st.text())
def test_a_fence_holds_whatever_is_in_it(text: str) -> None:
    first, *_, last = markdown.fenced(text).split("\n")

    assert first == last
    assert not any(line.strip().startswith(first) for line in text.rstrip().split("\n"))


def test_the_first_piece_of_a_long_text_comes_before_its_end_is_read() -> None:
    source = BytesIO(GERMAN.encode() * 200_000)

    first = next(iter(plain.extract(source, Wanted("x.txt", "text/plain"))))

    assert isinstance(first, str)
    assert source.tell() <= MEBIBYTE


@pytest.fixture(scope="module")
def long_line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "line"
    with path.open("wb") as file:
        for _ in range(100):
            file.write(("Größe und Straße " * 62_000).encode("cp1252")[:MEBIBYTE])
    return path


@pytest.mark.parametrize("media_type", ["text/plain", "application/json", "text/csv"])
async def test_a_line_of_a_hundred_megabytes_takes_no_memory(long_line: Path, media_type: str) -> None:
    sandbox = Sandbox(1, readable=[], memory_bytes=96 * MEBIBYTE)
    size = 0
    pieces = Extractors(sandbox).extract(long_line, "plain", Wanted("x", media_type), seconds=60)
    async with aclosing(pieces):
        async for piece in pieces:
            assert isinstance(piece, str)
            size += len(piece)
    await sandbox.close()

    assert size >= 100 * MEBIBYTE


def test_json_is_not_changed() -> None:
    source = json.dumps({"a": ["ö", "`", "```"]}, ensure_ascii=False)

    assert read(source.encode(), "application/json", by="plain")[0] == f"```json\n{source}\n```\n"
