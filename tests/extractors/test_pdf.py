"""PDFs as people print them, read as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.extractors.samples import PDF, facts, markdown

from mediary.errors import UnreadableError
from mediary.extractors import ocr
from mediary.extractors.base import Facts, Wanted
from mediary.extractors.pdf import extract
from mediary.extractors.pdf.rows import finish, join
from mediary.extractors.pdf.words import HYPHEN
from mediary.testing.extractors import ExtractorContract

TYPE = "application/pdf"


def read(name: str) -> str:
    return markdown(extract, PDF / f"{name}.pdf", TYPE)


class TestContract(ExtractorContract):
    @pytest.fixture
    def extractor(self):
        return "mediary.extractors.pdf:extract"

    @pytest.fixture
    def document(self):
        return PDF / "contract.pdf"

    @pytest.fixture
    def media_type(self):
        return TYPE

    @pytest.fixture
    def words(self):
        return ("Service Agreement", "Meridian Analytics GmbH", "€148,750.00", "4.5 %", "Dr. Karla Weiß")


class TestContractOfUntagged(TestContract):
    @pytest.fixture
    def document(self):
        return PDF / "report.pdf"

    @pytest.fixture
    def words(self):
        return ("Annual Energy Report 2023", "41,870 MWh", "21.3 %", "Insulate", "town hall")


def test_a_contract_printed_by_chromium_keeps_words_numbers_lists_and_links():
    text = read("contract")
    assert text.startswith("# Service Agreement\n\nThis agreement (“Agreement”) is entered into on 12 March 2024")
    assert "between Meridian Analytics GmbH, Lindenstraße 14, 10969 Berlin (the “Provider”), and" in text
    assert "\n\n## 1. Services\n\n" in text
    assert "\n\n### 2.1 Consequences\n\n" in text
    assert (
        "within 1,250 hours; the fee amounts to €148,750.00, payable in three instalments of €49,583.33 each." in text
    )
    assert "\n3. Training of up to twelve employees:\n  - two days on site in Bristol,\n  - four remote" in text
    assert "[legal@meridian.example](mailto:legal@meridian.example); the current" in text
    assert "[our terms page](https://meridian.example/terms?version=7)." in text
    assert "|" not in text


def test_an_address_keeps_its_lines():
    assert read("letter").startswith(
        "Jürgen Groß\nSchloßstraße 5\n01067 Dresden\n\nSehr geehrte Damen und Herren,\n\nhie"
    )


def test_a_table_is_one_and_only_it():
    text = read("invoice")
    rows = [line for line in text.splitlines() if "|" in line]
    assert rows[0] == "| Item | Description | Quantity | Unit price | Amount |"
    assert "| TN-2410 | Toner cartridge, black, for laser printers with a capacity of about 3,000 pages |" in text
    assert rows[-1] == "|  | Total (GBP) |  |  | 5,305.32 |"
    assert len(rows) == 9
    assert "Invoice number: 2024-0117\nDate: 17 January 2024\n" in text


def test_two_columns_are_read_one_after_the_other():
    text = read("article")
    headings = ["## Abstract", "## 1 Introduction", "## 2 Methods", "## 3 Results", "## 4 Conclusions"]
    assert [line for line in text.splitlines() if line.startswith("## ")] == headings
    assert "Fourteen moorings were deployed between 3 May and 4 July 2022. Each carried three sensors (0.5 m" in text
    assert "nineteen-fifties" in text
    assert "|" not in text


def test_a_report_of_libreoffice_has_headings_a_table_lists_code_and_notes():
    text = read("report")
    assert "\n## Annual Energy Report 2023\n" in text
    assert "\n### Consumption by sector\n" in text
    assert "| Sector | 2022 (MWh) | 2023 (MWh) | Change |\n| --- | --- | --- | --- |\n| Schools | 8,412 |" in text
    assert "2. Insulate the roofs of three schools:\n  - Elm Street,\n  - Riverside,\n" in text
    assert '```\ntotal = sum(sector.mwh for sector in sectors)\nprint(f"{total:,} MWh")\n```' in text
    assert "what was saved.¹" in text
    assert "[project page](https://energy.example.org/led)" in text


def test_slides_have_their_titles_and_items():
    text = read("slides")
    assert "# Results\n\n- Revenue grew by 12.5 %\n- Costs fell by €1.2 million\n" in text
    assert "2. Launch Compass in May\n3. Close the old data centre\n" in text
    assert "| Q2 | 11.5 | 1.6 |" in text


def test_bullets_of_slides_are_items_however_large():
    text = read("bullets")
    assert "\n\n- Umsatz +12,4 %\n  - Inland: 8 %\n    - Bayern: 3 %\n- Zwei neue Läden\n\n" in text


def test_a_list_before_a_table_is_no_part_of_it():
    text = read("lease")
    assert (
        "\n1. Die Miete beträgt 2.480,00 € im Monat.\n2. Nebenkosten:\n  a. Heizung: 310,50 €\n  b. Wasser: 88,25 €\n"
        "    - Kaltwasser\n    - Abwasser\n3. Sie ist bis zum dritten Werktag zu zahlen.\n\n"
    ) in text
    assert (
        "| Position | Menge | Preis in € | Bemerkung |\n| --- | --- | --- | --- |\n"
        "| Grundmiete | 142,5 | 2.480,00 | je m² 17,40 |\n"
        "| Stellplatz | 2 | 120,00 | Hof, nicht überdacht |\n"
        "| Summe |  | 2.600,00 | zzgl. 19 % USt. |\n"
    ) in text


def test_what_stands_at_the_side_is_read_where_the_text_has_it():
    text = read("floats")
    assert text.startswith("### Acme Widgets Ltd\n\n12 Foundry Lane\nSheffield S1 2AB\n\nInvoice no. 2024-117\n")
    assert "| 3.5 | £120.00 | £420.00 |\n\nNet £603.99\nVAT 20% £120.80\nTotal £724.79\n\nIBAN" in text


def test_a_page_on_its_side_reads_like_the_upright_one():
    assert read("turned") == read("report")


def test_what_the_browser_prints_on_every_page_is_left_out():
    text = read("headed")
    assert "file://" not in text
    assert "2/2" not in text
    assert "### Costs" in text


def test_hyphens_at_line_ends_and_scripts_of_the_world():
    text = read("world")
    assert "Die Donaudampfschifffahrtsgesellschaft veröffentlichte ihre Geschäftsberichte über offene" in text
    assert "Lieferverpflichtungen, ein E-Mail-Archiv und Flusspegel." in text
    assert "在尊严和权利上一律平等" in text
    assert "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق." in text
    assert "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם" in text
    assert "office, affluent, fish, fjord, difficult, efficient." in text


def test_facts_are_told():
    assert facts(extract, PDF / "report.pdf", TYPE) == Facts("Annual Energy Report", "Ingrid Sørensen", 1, "en")
    assert facts(extract, PDF / "contract.pdf", TYPE) == Facts("Service Agreement", None, 2, "en")


def test_what_only_its_owner_may_copy_is_read():
    assert read("restricted") == read("report")


def test_what_has_a_password_is_refused():
    with pytest.raises(UnreadableError, match="locked with a password"):
        read("locked")


@pytest.mark.skipif(not ocr.available(), reason="needs Tesseract's data")
def test_a_scan_is_recognised():
    text = read("scan")
    assert "between Meridian Analytics\nGmbH" in text
    assert "€148,750.00" in text


def test_a_scan_that_is_not_to_be_recognised_says_so():
    with (PDF / "scan.pdf").open("rb") as source, pytest.raises(UnreadableError, match="switched off"):
        list(extract(source, Wanted("scan.pdf", TYPE, ocr=False)))


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        (f"effi{HYPHEN}", "cient", "efficient"),
        ("Schiff\u2010", "fahrt", "Schifffahrt"),
        (f"TN{HYPHEN}", "2410", "TN-2410"),
        (f"E-Mail{HYPHEN}", "Archiv", "E-Mail-Archiv"),
        (f"well{HYPHEN}", "known", "well-known"),
        ("one", "two", "one two"),
        ("一律", "平等", "一律平等"),
        ("a -", "b", "a - b"),
    ],
)
def test_lines_are_joined(before: str, after: str, whole: str):
    assert finish(join(before, after, {"well-known"})) == whole


@given(st.text(), st.text())
def test_joining_loses_no_letter(before: str, after: str):
    def letters(text: str) -> str:
        return "".join(letter for letter in text if letter.isalnum())

    assert letters(join(before, after)) == letters(before + after)
