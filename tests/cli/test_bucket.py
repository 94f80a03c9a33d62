"""`mediary bucket` as a person runs it: what it prints, what it says, what it ends with."""

import functools
import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.commands import COMMAND, on_a_terminal, run
from tests.media.samples import picture
from tests.server.bucket_client import upload
from tests.servers.mediary import MediaryServer, clean_environment

LEASE = "# Lease\n\nThe notice period is three months.\n"
HELD = ["lease.md", "table.csv.md", "deep_note.txt.md"]


def fill(folder: Path) -> None:
    """Files to add: a lease, and a folder with a table, a note deeper down, and what is hidden."""
    (folder / "lease.md").write_text(LEASE)
    deep = folder / "docs" / "deep"
    deep.mkdir(parents=True)
    (folder / "docs" / "table.csv").write_text("Name,Amount\nAnna,120\nBen,80\n")
    (deep / "note.txt").write_text("A note about the \x1b[31mgarden.\n")
    (folder / "docs" / ".hidden.txt").write_text("hidden")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a bucket of three documents."""
    data = tmp_path_factory.mktemp("first")
    fill(data)
    done = run(data, "bucket", "add", "contracts", "lease.md", "docs")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == HELD
    return data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The same for a test that changes it."""
    fill(tmp_path)
    assert run(tmp_path, "bucket", "add", "contracts", "lease.md", "docs").returncode == 0
    return tmp_path


def bucket(folder: Path, *arguments: str, **env: str) -> str:
    """What a command prints that ends well and says nothing else."""
    done = run(folder, "bucket", *arguments, **env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def failed(folder: Path, *arguments: str, **env: str) -> tuple[int, str]:
    """How a command ended, and what it said."""
    done = run(folder, "bucket", *arguments, **env)
    return done.returncode, done.stderr


def test_names_alone_go_through_a_pipe(first: Path):
    assert bucket(first, "list") == "contracts\n"
    assert bucket(first, "list", "contracts").splitlines() == HELD


def test_json_has_all_that_is_known(first: Path):
    [found] = map(json.loads, bucket(first, "list", "--json").splitlines())
    assert (found["id"], found["documents"], found["media"]) == ("contracts", 3, 0)

    documents = [json.loads(line) for line in bucket(first, "list", "contracts", "--json").splitlines()]
    assert [document["name"] for document in documents] == HELD
    assert documents[1]["original"] == "table.csv"
    assert documents[2]["original"] == "deep/note.txt"


def test_a_table_is_shown_on_a_terminal(first: Path):
    shown = on_a_terminal(first, "bucket", "list").decode()
    assert "bucket" in shown and "documents" in shown and "contracts" in shown

    shown = on_a_terminal(first, "bucket", "list", "contracts").decode()
    assert all(name in shown for name in HELD)


def test_the_text_comes_in_order(first: Path):
    text = bucket(first, "read", "contracts")

    assert text.startswith(f"<!-- File: lease.md -->\n{LEASE}\n<-- End -->\n\n<!-- File: table.csv.md -->\n")
    assert "| Anna | 120 |" in text
    assert "\x1b[31mgarden" in text


def test_text_does_not_steer_a_terminal(first: Path):
    assert b"\x1b[31mgarden" not in on_a_terminal(first, "bucket", "read", "contracts")
    assert b"\x1b[31mgarden" not in on_a_terminal(first, "bucket", "ask", "contracts", "note garden")


def test_a_question_is_answered_with_passages(first: Path):
    assert bucket(first, "ask", "contracts", "How long is the notice period?") == (
        "lease.md\n\n    # Lease\n\n    The notice period is three months.\n"
    )
    [found] = map(json.loads, bucket(first, "ask", "contracts", "notice period", "--json").splitlines())
    assert found["document"] == "lease.md"
    assert failed(first, "ask", "contracts", "elephants") == (
        1,
        "mediary: nothing in the bucket bears on the question\n",
    )


def test_a_provider_answers_from_the_bucket(first: Path):
    done = run(first, "bucket", "ask", "contracts", "How long is the notice period?", "--provider", "Local")

    assert done.returncode == 0
    assert done.stdout == "> The notice period is three months. — lease.md\n"
    assert done.stderr.startswith("from the bucket contracts: the whole text of lease.md")

    done = run(first, "bucket", "ask", "nowhere", "How?", "--provider", "Local")
    assert (done.returncode, done.stderr) == (1, "mediary: There is no bucket 'nowhere'\n")


def test_what_is_rejected_is_named_and_the_rest_is_taken(data: Path):
    (data / "program").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(100))
    (data / "cat.png").write_bytes(picture())

    done = run(data, "bucket", "add", "contracts", "program", "missing.txt", "cat.png", "lease.md")

    assert done.returncode == 1
    assert done.stdout.splitlines() == ["lease.md", "cat.png"]
    assert "mediary: program: it is a program" in done.stderr
    assert "mediary: missing.txt: there is no such file" in done.stderr


def test_standard_input_is_taken_under_a_name(data: Path):
    command = [*COMMAND, "bucket", "add", "contracts", "-", "--name", "pipe.txt"]
    done = subprocess.run(command, cwd=data, env=clean_environment(), input="A pipe.", capture_output=True, text=True)

    assert (done.returncode, done.stdout, done.stderr) == (0, "pipe.txt.md\n", "")
    assert "A pipe." in bucket(data, "read", "contracts")
    assert failed(data, "add", "contracts", "-")[0] == 2


def test_a_document_that_cannot_be_read_is_named(data: Path):
    (data / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing of the kind\n%%EOF\n")
    assert run(data, "bucket", "add", "contracts", "broken.pdf").returncode == 0

    done = run(data, "bucket", "read", "contracts")

    assert done.returncode == 1
    assert LEASE in done.stdout
    assert done.stderr.startswith("mediary: broken.pdf.md: ")


def test_sources_are_deleted_only_when_that_is_asked_for(data: Path):
    source = data / "har_and_cookies" / "buckets" / "contracts" / "source" / "table.csv"
    text = bucket(data, "read", "contracts")
    assert source.exists()

    assert bucket(data, "read", "contracts", "--delete-files") == text
    assert not source.exists()
    assert bucket(data, "read", "contracts") == text


def test_a_bucket_is_removed_when_that_is_meant(data: Path):
    assert failed(data, "rm", "contracts") == (1, "mediary: nobody can be asked here: --yes deletes without asking\n")
    assert bucket(data, "list") == "contracts\n"

    assert bucket(data, "rm", "contracts", "--yes") == ""
    assert bucket(data, "list") == ""
    assert failed(data, "rm", "contracts", "--yes") == (1, "mediary: contracts: There is no bucket 'contracts'\n")


@pytest.mark.parametrize("command", [["read"], ["ask"], ["list"], ["rm"], ["crawl"]])
def test_a_bucket_that_is_not_there_is_named(first: Path, command: list[str]):
    question = ["why?"] if command == ["ask"] else []

    code, said = failed(first, *command, "nowhere", *question)

    assert (code, said) == (1, "mediary: There is no bucket 'nowhere'\n")


def test_a_mistyped_folder_is_no_new_one(tmp_path: Path):
    code, said = failed(tmp_path, "list", "--data", "nowhere")

    assert code == 1
    assert "there are no buckets in" in said
    assert not (tmp_path / "nowhere").exists()


def test_no_disk_no_traceback(first: Path):
    with Path("/dev/full").open("w") as full:
        for command in (["list"], ["read", "contracts"], ["ask", "contracts", "notice"]):
            done = subprocess.run(
                [*COMMAND, "bucket", *command], cwd=first, env=clean_environment(), stdout=full, stderr=-1, text=True
            )
            assert done.returncode == 1
            assert done.stderr.startswith("mediary: ")
            assert "Traceback" not in done.stderr


def test_it_works_while_a_server_runs(data: Path):
    with MediaryServer(data) as server:
        assert upload(server, "contracts", {"served.txt": b"From the server: helicopters."}).status == 200
        assert "served.txt.md" in bucket(data, "list", "contracts")
        assert "helicopters" in bucket(data, "ask", "contracts", "helicopters")

        (data / "later.txt").write_text("From the command line: submarines.")
        bucket(data, "add", "contracts", "later.txt")
        text = server.get("/backend-api/v2/files/contracts?delete_files=false").decode()
        assert "submarines" in text and "helicopters" in text


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site of two pages; its address."""
    folder = tmp_path_factory.mktemp("site")
    page = (
        "<html><body><main><h1>{0}</h1><p>A page about {0}, of which there is much to tell.</p>{1}</main></body></html>"
    )
    (folder / "index.html").write_text(page.format("harbours", '<a href="two.html">two</a>'))
    (folder / "two.html").write_text(page.format("lighthouses", ""))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_pages_are_fetched(tmp_path: Path, site: str):
    allowed = {"MEDIARY_NET_ALLOW": '["127.0.0.0/8"]'}

    names = bucket(tmp_path, "crawl", "web", f"{site}/", "--depth", "1", "--delay", "0", **allowed).splitlines()

    assert len(names) == 2
    assert "lighthouses" in bucket(tmp_path, "ask", "web", "lighthouses")
    assert bucket(tmp_path, "crawl", "web", **allowed) == "", "what is as it was is not taken again"

    code, said = failed(tmp_path, "crawl", "web", f"{site}/none.html", **allowed)
    assert code == 1
    assert "404" in said


def test_pages_of_this_machine_are_not_fetched_without_leave(tmp_path: Path, site: str):
    code, said = failed(tmp_path, "crawl", "web", site)

    assert code == 1
    assert "may not be reached" in said


def test_a_list_of_urls_must_be_one(first: Path):
    assert failed(first, "crawl", "contracts") == (1, "mediary: the bucket contracts has no list of URLs: name some\n")
    assert failed(first, "crawl", "contracts", "ftp://x/")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["crawl", "contracts", "--depth", "2"], "--depth"),
        (["add", "contracts", "lease.md", "--name", "x"], "--name"),
        (["add", "contracts", "-"], "--name"),
        (["ask", "contracts", "How long?", "--provider", "Local", "--json"], "--json"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(first: Path, arguments: list[str], option: str):
    done = run(first, "bucket", *arguments)
    assert done.returncode == 2
    assert option in done.stderr
