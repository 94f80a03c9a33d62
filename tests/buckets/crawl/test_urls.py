"""The names that come of URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.buckets.crawl.urls import file_name, page_name, site
from mediary.buckets.naming import file_name as safe_name
from mediary.net.urls import normalise


@given(st.text())
def test_any_text(text: str):
    for url in (text, f"http://{text}", f"http://example.com/{text}"):
        normal = normalise(url)
        if normal is not None:
            assert normalise(normal) == normal
            assert page_name(normal).endswith(".md")
            assert site(normal)


def test_sites():
    assert site("http://www.example.com/a") == site("https://example.com/b") == "example.com"
    assert len({site("http://example.com/"), site("http://docs.example.com/"), site("http://example.com:8080/")}) == 3


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/", "example.com.md"),
        ("https://www.example.com/docs/intro.html", "example.com_docs_intro.md"),
        ("https://example.com/docs/", "example.com_docs.md"),
        ("https://example.com/list.php?page=2", "example.com_list_page_2.md"),
        ("https://example.com/%E6%B8%AF", "example.com_港.md"),
        ("http://127.0.0.1:8080/a", "127.0.0.1_8080_a.md"),
    ],
)
def test_names_of_pages(url: str, name: str):
    assert page_name(url) == name == safe_name(name)


def test_long_names_of_pages_are_cut_and_still_differ():
    names = [page_name(f"https://example.com/{'long/' * 50}{number}") for number in range(3)]
    assert len(set(names)) == 3
    assert all(name.startswith("example.com_long_long") and safe_name(name) == name for name in names)


@pytest.mark.parametrize(
    ("url", "headers", "name"),
    [
        ("https://e.com/a/report.pdf?x=1", {}, "report.pdf"),
        ("https://e.com/report?id=3", {"content-type": "application/pdf; x=y"}, "report.pdf"),
        ("https://e.com/get.php", {"content-type": "application/pdf"}, "get.pdf"),
        ("https://e.com/", {"content-type": "image/jpeg"}, "e.com.jpg"),
        ("https://e.com/x", {"content-disposition": 'attachment; filename="my report.pdf"'}, "my_report.pdf"),
        (
            "https://e.com/x",
            {"content-disposition": "attachment; filename=a.pdf; filename*=UTF-8''%C3%BCber.pdf"},
            "über.pdf",
        ),
        ("https://e.com/x", {"content-disposition": "attachment; filename*=no-such'x'y; filename=a.pdf"}, "y"),
        ("https://e.com/x", {"content-disposition": 'attachment; filename="../../etc/passwd"'}, "passwd"),
        ("https://e.com/x", {"content-disposition": 'attachment; filename="C:\\\\temp\\\\a.doc"'}, "a.doc"),
        ("https://e.com/a.docx", {"content-type": "application/octet-stream"}, "a.docx"),
        ("https://e.com/v1.2", {"content-type": "application/zip"}, "v1.2.zip"),
    ],
)
def test_names_of_files(url: str, headers: dict[str, str], name: str):
    assert file_name(url, headers) == name


@pytest.mark.parametrize(
    "said", ["downloads.json", "DOWNLOADS.json", "downloads%2Ejson", ".downloads.json", "x/downloads.json"]
)
def test_no_file_passes_for_the_list(said: str):
    for name in (
        file_name("https://e.com/x", {"content-disposition": f'attachment; filename="{said}"'}),
        file_name(f"https://e.com/{said}", {}),
    ):
        assert safe_name(name).lower() == "e.com_downloads.json"


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=50))
def test_any_header(path: str, disposition: str, kind: str):
    url = normalise(f"https://e.com/{path}") or "https://e.com/"
    name = file_name(url, {"content-disposition": disposition, "content-type": kind})
    assert name and "/" not in name and safe_name(name)
