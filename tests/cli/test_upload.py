"""`mediary upload` as a person runs it: what it prints, what it says, how it goes on after an end of any kind."""

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest
from tests.cli.commands import COMMAND, on_a_terminal, run
from tests.servers import gemini, openai_files, openai_web, qwen
from tests.servers.gate import Gate, gate
from tests.servers.mediary import clean_environment
from tests.servers.upload_peers import GUARD, Place

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"
MIB = 1024 * 1024
PART = MIB // 4


@asynccontextmanager
async def openai_behind_a_gate(single: int = MIB) -> AsyncIterator[tuple[Gate, Place]]:
    async with openai_files.openai_files() as peer, gate(peer.port) as relay:
        table = (
            f'[providers.There]\nwire = "openai"\nbase_url = "{relay.url}/v1"\napi_key = "{openai_files.KEY}"\n'
            f'models = ["gpt"]\n'
            f'uploads = {{ flow = "openai_files", single_bytes = {single}, part_bytes = {PART} }}\n'
        )
        yield relay, Place(table, lambda file: peer.contents[file["id"]])


@asynccontextmanager
async def azure_behind_a_gate() -> AsyncIterator[tuple[Gate, Place]]:
    async with openai_web.openai_web() as peer, gate(peer.storage.port) as relay:
        peer.storage.port = relay.port
        table = (
            f'[uploads.There]\nflow = "openai_web"\nbase_url = "{peer.url}"\nsettle_seconds = 0\n'
            f'api_key = "{next(iter(openai_web.TOKENS))}"\nsingle_bytes = {MIB}\nblock_bytes = {PART}\n'
        )
        yield relay, Place(table, lambda file: peer.content(file["id"]))


@asynccontextmanager
async def oss_behind_a_gate() -> AsyncIterator[tuple[Gate, Place]]:
    async with qwen.qwen_service() as peer, gate(peer.storage.port) as relay:
        peer.storage_url = relay.url
        table = (
            f'[uploads.There]\nflow = "qwen"\nbase_url = "{peer.url}"\napi_key = "{qwen.TOKEN}"\n'
            f"single_bytes = {MIB}\npart_bytes = {PART}\n"
        )
        yield relay, Place(table, lambda file: peer.storage.objects[peer.files[file["id"]]].data)


@asynccontextmanager
async def gemini_behind_a_gate() -> AsyncIterator[tuple[Gate, Place]]:
    async with gemini.gemini_peer() as peer, gate(peer.port) as relay:
        peer.port = relay.port
        table = f'[providers.There]\nwire = "gemini"\nbase_url = "{peer.base_url}"\napi_key = "{gemini.KEY}"\n'
        yield relay, Place(table, lambda file: next(each.data for each in peer.files.values()))


IN_PARTS = {
    "azure": (azure_behind_a_gate, 4 * MIB),
    "oss": (oss_behind_a_gate, 4 * MIB),
    "openai": (openai_behind_a_gate, 4 * MIB),
    "gemini": (gemini_behind_a_gate, 20 * MIB),
}


def big(path: Path, size: int) -> Path:
    """A document of that size."""
    path.write_bytes(PDF + Random(size).randbytes(size - len(PDF)))
    return path


def folder(path: Path, table: str) -> Path:
    """A data folder with these settings."""
    path.mkdir()
    (path / "mediary.toml").write_text(GUARD + table)
    return path


class Running:
    """A command that is under way; it does not outlive the test."""

    def __init__(self, data: Path, *arguments: str) -> None:
        pipe, env = subprocess.PIPE, clean_environment(MEDIARY_DISCOVER="false")
        command = [*COMMAND, "upload", *arguments]
        self.process = subprocess.Popen(command, cwd=data, env=env, stdout=pipe, stderr=pipe, text=True)
        self.all.append(self.process)

    all: ClassVar[list["subprocess.Popen[str]"]] = []

    @classmethod
    def kill_all(cls) -> None:
        """End those that a test has left."""
        while cls.all:
            with cls.all.pop() as process:
                process.kill()

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """How it ended, after a signal if one is given, and what it wrote."""
        if number is not None:
            self.process.send_signal(number)
        out, said = self.process.communicate(timeout=60)
        return self.process.returncode, out, said


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    Running.kill_all()


async def written_down(data: Path) -> None:
    """Wait until a process has written down how far its upload is, once more."""

    def lease() -> float:
        with closing(sqlite3.connect(data / "mediary.db", timeout=30)) as database:
            return database.execute("SELECT lease FROM upload_claims").fetchone()[0]

    async with asyncio.timeout(30):
        before = await asyncio.to_thread(lease)
        while await asyncio.to_thread(lease) == before:  # noqa: ASYNC110 - another process cannot set an event
            await asyncio.sleep(0.05)


async def ran(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`mediary upload` while the peers answer in this loop."""
    return await asyncio.to_thread(run, data, "upload", *arguments)


@pytest.mark.parametrize(
    ("kind", "how"),
    [*((kind, signal.SIGINT) for kind in IN_PARTS), *((k, signal.SIGKILL) for k in ("azure", "gemini"))],
)
async def test_what_was_stopped_goes_on(tmp_path: Path, kind: str, how: int):
    behind_a_gate, size = IN_PARTS[kind]
    async with behind_a_gate() as (relay, place):
        data, file = folder(tmp_path / "data", place.table), big(tmp_path / "big.pdf", size)
        relay.close_after(size * 3 // 4)
        first = Running(data, str(file), "--to", "There")
        await asyncio.wait_for(relay.reached.wait(), 30)
        if how == signal.SIGKILL:
            await written_down(data)
        code, out, said = await asyncio.to_thread(first.end, how)
        assert out == ""
        if how == signal.SIGINT:
            assert code == 130
            assert re.fullmatch(
                r"mediary: big.pdf: stopped at [\d.]+ MB of [\d.]+ MB; the same command goes on from what has arrived\n"
                r"mediary: stopped\n",
                said,
            )
        relay.open()
        done = await ran(data, str(file), "--to", "There", "--json")
        # Nobody has to wait until the claim of a dead process ends.
        assert (done.returncode, done.stderr) == (0, "")
        assert relay.passed < size * 2 // 3
        assert await asyncio.to_thread(place.read, json.loads(done.stdout)["file"]) == file.read_bytes()


async def test_what_goes_in_one_piece_begins_anew_and_that_is_said(tmp_path: Path):
    async with openai_behind_a_gate(single=8 * MIB) as (relay, place):
        data, file = folder(tmp_path / "data", place.table), big(tmp_path / "big.pdf", 4 * MIB)
        relay.close_after(2 * MIB)
        first = Running(data, str(file), "--to", "There")
        await asyncio.wait_for(relay.reached.wait(), 30)
        code, _, said = await asyncio.to_thread(first.end, signal.SIGINT)
        assert (code, "the same command sends it from the beginning" in said) == (130, True)
        relay.open()
        assert (await ran(data, "--list")).stdout == ""
        assert (await ran(data, str(file), "--to", "There")).returncode == 0
        assert relay.passed > 4 * MIB


async def test_a_provider_that_goes_away_in_the_middle(tmp_path: Path):
    async with oss_behind_a_gate() as (relay, place):
        data, file = folder(tmp_path / "data", place.table), big(tmp_path / "big.pdf", 4 * MIB)
        relay.close_after(2 * MIB)
        first = Running(data, str(file), "--to", "There")
        await asyncio.wait_for(relay.reached.wait(), 30)
        relay.dead = True
        relay.open()
        code, _, said = await asyncio.to_thread(first.end)
        assert (code, "the same command goes on from what has arrived" in said) == (1, True), said
        relay.dead = False
        relay.open()
        assert (await ran(data, str(file), "--to", "There")).returncode == 0
        assert relay.passed < 3 * MIB


async def test_two_commands_with_the_same_file_send_it_once(tmp_path: Path):
    async with azure_behind_a_gate() as (relay, place):
        data, file = folder(tmp_path / "data", place.table), big(tmp_path / "big.pdf", 4 * MIB)
        relay.close_after(3 * MIB)
        first = Running(data, str(file), "--to", "There", "--json")
        await asyncio.wait_for(relay.reached.wait(), 30)
        second = Running(data, str(file), "--to", "There", "--json")
        assert second.process.stderr
        line = await asyncio.to_thread(second.process.stderr.readline)
        assert line == "mediary: big.pdf: another process sends it just now; waiting for that\n"
        [left] = map(json.loads, (await ran(data, "--list", "--json")).stdout.splitlines())
        assert (left["name"], left["size"], left["state"]) == ("big.pdf", 4 * MIB, "on its way")
        refused = await ran(data, "--forget", left["id"])
        assert (refused.returncode, "on its way just now" in refused.stderr) == (1, True)
        relay.open()
        ended = await asyncio.gather(*(asyncio.to_thread(each.end) for each in (first, second)))
        assert [code for code, *_ in ended] == [0, 0]
        sent, found = [json.loads(out) for _, out, _ in ended]
        assert (sent["cached"], found["cached"], found["id"]) == (False, True, sent["id"])


@pytest.mark.parametrize(("kind", "removed"), [("azure", False), ("oss", True)])
async def test_an_unfinished_upload_is_forgotten_here_and_there(tmp_path: Path, kind: str, removed: bool):
    behind_a_gate, size = IN_PARTS[kind]
    async with behind_a_gate() as (relay, place):
        data, file = folder(tmp_path / "data", place.table), big(tmp_path / "big.pdf", size)
        relay.close_after(size * 3 // 4)
        first = Running(data, str(file), "--to", "There")
        await asyncio.wait_for(relay.reached.wait(), 30)
        await asyncio.to_thread(first.end, signal.SIGINT)
        relay.open()
        [left] = map(json.loads, (await ran(data, "--list", "--json")).stdout.splitlines())
        assert (left["provider"], left["name"], left["state"]) == ("There", "big.pdf", "unfinished")
        forgotten = await ran(data, "--forget", left["id"], "--json")
        assert json.loads(forgotten.stdout)["removed"] is removed, forgotten
        assert (await ran(data, "--list")).stdout == ""
        assert (await ran(data, str(file), "--to", "There")).returncode == 0
        assert relay.passed > size


@pytest.fixture
async def quiet(tmp_path: Path) -> AsyncIterator[Path]:
    """A data folder whose one provider answers at once."""
    async with openai_behind_a_gate() as (_, place):
        yield folder(tmp_path / "data", place.table)


async def test_each_file_that_cannot_be_sent_is_named_and_the_rest_is_sent(quiet: Path, tmp_path: Path):
    for name in ("a.pdf", "möwe \x1b[31m am meer.pdf"):
        (tmp_path / name).write_bytes(PDF + name.encode())
    os.mkfifo(tmp_path / "pipe.pdf")
    files = [str(tmp_path / name) for name in ("a.pdf", "folder", "none.pdf", "pipe.pdf", "möwe \x1b[31m am meer.pdf")]
    (tmp_path / "folder").mkdir()
    done = await ran(quiet, *files, "--to", "there")
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 2)
    lines = [line.removeprefix("mediary: ").replace(f"{tmp_path}/", "") for line in done.stderr.splitlines()]
    assert lines == [
        "a.pdf (application/pdf) is there",
        "folder: 'folder' is a folder: name the files in it",
        "none.pdf: There is no file 'none.pdf'",
        "pipe.pdf: 'pipe.pdf' is no file that can be read twice",
        "möwe _[31m am meer.pdf (application/pdf) is there",
    ]
    again = await ran(quiet, files[0], "--to", "There")
    assert "a.pdf (application/pdf) is there already" in again.stderr
    assert again.stdout == done.stdout.splitlines()[0] + "\n"


async def test_a_terminal_gets_a_bar_in_bytes_and_a_list_with_headings(tmp_path: Path):
    async with openai_behind_a_gate() as (relay, place):
        data, file = folder(tmp_path / "data", place.table), big(tmp_path / "big.pdf", 4 * MIB)
        assert b"nothing is uploaded" in await asyncio.to_thread(on_a_terminal, data, "upload", "--list")
        relay.pause = 0.1
        seen = await asyncio.to_thread(on_a_terminal, data, "upload", str(file), "--to", "There", columns=100)
        assert "4.2 MB of 4.2 MB" in seen.decode()
        relay.pause = 0
    listed = (await asyncio.to_thread(on_a_terminal, data, "upload", "--list")).decode().splitlines()
    assert listed[0].split() == ["id", "provider", "size", "until", "name"]
    assert listed[1].split()[1:] == ["There", "4.2", "MB", "-", "big.pdf"]


async def test_the_message_of_the_provider(quiet: Path, tmp_path: Path):
    (tmp_path / "a.pdf").write_bytes(PDF)
    told = await ran(quiet, str(tmp_path / "a.pdf"), "--to", "There", "--text", "What is it?")
    [document, text] = json.loads(told.stdout)["content"]
    assert (document["file_id"][:5], text["text"]) == ("file-", "What is it?")
    both = await ran(quiet, str(tmp_path / "a.pdf"), "--to", "There", "--text", "What is it?", "--json")
    answer = json.loads(both.stdout)
    assert (answer["message"], answer["uploads"][0]["cached"]) == (json.loads(told.stdout), True)


async def test_what_lies_there_is_listed_in_pages_and_forgotten(quiet: Path, tmp_path: Path):
    for number in range(3):
        (tmp_path / f"{number}.pdf").write_bytes(PDF + bytes([number]))
    await ran(quiet, *(str(tmp_path / f"{number}.pdf") for number in range(3)), "--to", "There")
    rows = [line.split(maxsplit=5) for line in (await ran(quiet, "--list")).stdout.splitlines()]
    assert [row[5] for row in rows] == ["2.pdf", "1.pdf", "0.pdf"]
    listed = [json.loads(line) for line in (await ran(quiet, "--list", "--json", "--to", "THERE")).stdout.splitlines()]
    assert [(each["id"], each["name"], each["state"]) for each in listed] == [(row[0], row[5], "there") for row in rows]
    gone = await ran(quiet, "--forget", rows[0][0])
    assert (gone.returncode, gone.stderr) == (0, "mediary: removed there, and forgotten\n")
    unknown = await ran(quiet, "--forget", rows[0][0])
    assert (unknown.returncode, unknown.stderr) == (1, f"mediary: There is no upload {rows[0][0]!r}\n")
    settings = quiet / "mediary.toml"
    settings.write_text(settings.read_text().replace(openai_files.KEY, "another-key-0123456789"))
    kept = await ran(quiet, "--forget", rows[1][0])
    assert kept.returncode == 0
    assert kept.stderr.startswith("mediary: forgotten here; it may still lie there: There has it for another account")
    assert len((await ran(quiet, "--list")).stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        ((), 2, "name files, or --list, or --forget"),
        (("a.pdf",), 2, "say where to"),
        (("a.pdf", "--list"), 2, "name files, or --list"),
        (("--list", "--text", "x"), 2, "name the files that it is for"),
        (("--forget", "x", "--to", "There"), 2, "the id alone"),
        (("--forget", ""), 1, "There is no upload ''"),
        (("a.pdf", "--to", "Ther"), 1, "did you mean There?"),
        (("--list", "--to", "nobody"), 1, "there are: There"),
        (("--list", "--data", "mistyped"), 1, "there is no data folder "),
    ],
)
async def test_what_is_wrong_is_said(quiet: Path, wrong: tuple[str, ...], code: int, words: str):
    done = await ran(quiet, *wrong)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert not (quiet / "mistyped").exists()
