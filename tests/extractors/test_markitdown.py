import pytest
from tests.extractors.reading import DOCUMENTS, WORD, in_order, read

from mediary.errors import UnreadableError

pytest.importorskip("markitdown")


def test_markitdown_reads_without_network_models_or_plugins() -> None:
    text, _ = read(DOCUMENTS / "office" / "report.docx", WORD, name="report.docx", by="markitdown")

    in_order(
        text, "Harbour works", "[charter](https://example.org/charter?a=1&b=2)", "* dredging", "| Dredging | 1887 |"
    )


def test_a_feed_is_read() -> None:
    feed = (
        b'<?xml version="1.0"?><rss version="2.0"><channel><title>Harbour news</title><link>https://example.org</link>'
        b"<description>All of it</description><item><title>Lamps</title><description>They burn.</description></item>"
        b"</channel></rss>"
    )

    text, facts = read(feed, "application/rss+xml", name="news.rss", by="markitdown")

    in_order(text, "# Harbour news", "## Lamps", "They burn.")
    assert facts.title == "Harbour news"


@pytest.mark.parametrize(("name", "media_type"), [("x.docx", WORD), ("x.msg", "application/vnd.ms-outlook")])
def test_what_is_damaged_is_reported(name: str, media_type: str) -> None:
    with pytest.raises(UnreadableError, match="damaged"):
        read(b"no document", media_type, name=name, by="markitdown")


def test_what_nobody_reads_is_reported() -> None:
    with pytest.raises(UnreadableError, match="not known"):
        read(b"\0\1\2", "application/octet-stream", name="x.bin", by="markitdown")
