"""`mediary chat` as a person runs it: what is on the screen, what is piped on, what it ends with."""

import asyncio
import shlex
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.commands import on_a_terminal
from tests.servers.http import chunked, raw_server, silence
from tests.servers.mediary import clean_environment


def chat(folder: Path, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mediary", "chat", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(MEDIARY_DISCOVER="false"),
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_answer_is_on_standard_output(tmp_path: Path) -> None:
    done = chat(tmp_path, "Hello")

    assert (done.returncode, done.stderr) == (0, "")
    assert "no language model is set up" in done.stdout
    assert done.stdout.endswith("\n")


def test_a_question_can_come_through_a_pipe(tmp_path: Path) -> None:
    done = chat(tmp_path, "-", text="The harbour opens at six.\nWhen does the harbour open?")

    assert done.returncode == 0
    assert done.stdout


def test_a_question_can_be_about_files(tmp_path: Path) -> None:
    (tmp_path / "hours.txt").write_text("The harbour opens at six.")
    (tmp_path / "prices.txt").write_text("Mooring costs nine crowns.")

    done = chat(
        tmp_path, "When does the harbour open, and what does mooring cost?", "-f", "hours.txt", "--file", "prices.txt"
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "opens at six" in done.stdout
    assert "prices.txt" in done.stdout


def test_a_file_that_cannot_be_sent_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.exe").write_bytes(b"MZ\0\1")

    missing, wrong = chat(tmp_path, "What is it?", "-f", "none.pdf"), chat(tmp_path, "What is it?", "-f", "a.exe")

    assert (missing.returncode, wrong.returncode) == (1, 1)
    assert missing.stderr == "mediary: There is no file 'none.pdf'\n"
    assert "Local does not take a.exe" in wrong.stderr


def test_it_says_where_a_picture_was_saved(tmp_path: Path) -> None:
    done = chat(tmp_path, "A quiet sea", "-p", "Local", "-m", "picture")

    assert done.returncode == 0
    saved = tmp_path / done.stderr.strip().removeprefix("saved ")
    assert saved.read_bytes().startswith(b"\x89PNG")


def test_what_fails_is_said_in_one_line(tmp_path: Path) -> None:
    wrong_provider = chat(tmp_path, "Hello", "-p", "Lokal")
    wrong_model = chat(tmp_path, "Hello", "-p", "Local", "-m", "nope")

    assert (wrong_provider.returncode, wrong_provider.stdout) == (1, "")
    assert wrong_provider.stderr == "mediary: there is no provider 'Lokal'; did you mean Local?\n"
    assert wrong_model.returncode == 1
    assert "nope" in wrong_model.stderr


def in_a_shell(folder: Path, line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A line for the shell, in which `chat` is the command."""
    command = f'chat() {{ {shlex.quote(sys.executable)} -m mediary chat "$@"; }}'
    return subprocess.run(
        ["bash", "-c", f"{command}\n{line}"],
        cwd=folder,
        env=clean_environment(MEDIARY_DISCOVER="false", **env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("chat Hello >&-", "standard output is closed"),
        ("chat Hello >/dev/full", "the answer cannot be written: No space left on device"),
        ("chat Hello | head -c 0; exit ${PIPESTATUS[0]}", "the answer cannot be written: Broken pipe"),
        ("chat - <&-", "standard input is closed"),
    ],
)
def test_an_answer_that_cannot_be_shown_is_one_line(tmp_path: Path, line: str, said: str) -> None:
    done = in_a_shell(tmp_path, line)

    assert (done.returncode, done.stderr) == (1, f"mediary: {said}\n")


def test_what_the_output_cannot_show_is_replaced(tmp_path: Path) -> None:
    done = in_a_shell(tmp_path, "chat Hello", PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stderr) == (0, "")
    assert "[providers.?]" in done.stdout


def test_a_question_that_is_no_text_is_asked_all_the_same(tmp_path: Path) -> None:
    for line in (r"printf '\xff Hello' | chat -", r"chat $'\xff Hello'"):
        done = in_a_shell(tmp_path, line)
        assert (done.returncode, done.stderr) == (0, "")


async def test_an_interrupt_ends_it_quietly_and_what_was_used_is_recorded(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    async with raw_server() as up:
        up.answers["/v1/chat/completions"] = silence(head + b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n')
        table = f'[providers.Up]\nwire = "openai"\nbase_url = "{up.url}/v1"\n'
        (tmp_path / "mediary.toml").write_text(table, encoding="utf-8")
        ended = await asyncio.to_thread(interrupted, tmp_path, "Hello", "-m", "m", "-p", "Up")

    assert ended == (130, "")
    with closing(sqlite3.connect(tmp_path / "mediary.db")) as database:
        assert database.execute("SELECT outcome, characters FROM usage_records").fetchall() == [("cancelled", 3)]


async def test_an_interrupt_behind_the_answer_loses_no_record(tmp_path: Path) -> None:
    """The last to be done, the writing of what was used, takes longer than the answer."""
    ended = await asyncio.to_thread(interrupted, tmp_path, "Hello", "-p", "Local", at="machine.\n")

    assert ended == (130, "")
    with closing(sqlite3.connect(tmp_path / "mediary.db")) as database:
        assert database.execute("SELECT outcome FROM usage_records").fetchall() == [("finished",)]


def interrupted(folder: Path, *arguments: str, at: str = "Hel") -> tuple[int, str]:
    """The exit code, and what it said, after ^C at some words of the answer."""
    command = [sys.executable, "-m", "mediary", "chat", *arguments]
    env = clean_environment(MEDIARY_DISCOVER="false")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        seen = ""
        while not seen.endswith(at) and (more := process.stdout.read(1)):
            seen += more
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    return process.returncode, said


async def test_reasoning_is_dimmed_and_not_part_of_the_answer(tmp_path: Path) -> None:
    answer = chunked(
        [
            b'data: {"choices":[{"delta":{"reasoning_content":"They greet."}}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"[bold]Hello[/bold] "}}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"you"},"finish_reason":"stop"}]}\n\n',
            b"data: [DONE]\n\n",
        ],
        "Content-Type: text/event-stream",
        "Connection: close",
    )
    async with raw_server() as up:
        up.answers["/v1/chat/completions"] = answer
        table = f'[providers.Up]\nwire = "openai"\nbase_url = "{up.url}/v1"\n'
        (tmp_path / "mediary.toml").write_text(table, encoding="utf-8")

        piped = await asyncio.to_thread(chat, tmp_path, "Hello", "-m", "m", "-p", "Up")
        shown = await asyncio.to_thread(on_a_terminal, tmp_path, "chat", "Hello", "-m", "m", "-p", "Up")

    assert piped.stdout == "[bold]Hello[/bold] you\n"
    assert "They greet." in piped.stderr
    assert b"\x1b[2mThey greet.\x1b[0m" in shown
    assert b"[bold]Hello[/bold] you" in shown


async def test_no_word_of_a_provider_steers_the_terminal(tmp_path: Path) -> None:
    clear = "\\u001b[2J\\u009b2J"
    answers = {
        "think": f'{{"choices":[{{"delta":{{"reasoning_content":"Hm{clear}"}}}}]}}'.encode(),
        "fail": f'{{"error":{{"message":"It broke{clear}"}}}}'.encode(),
    }
    (tmp_path / "a.exe").write_bytes(b"MZ\0\1" * 100)
    async with raw_server() as up:
        table = f'[providers.Up]\nwire = "openai"\nlabel = "Up"\nbase_url = "{up.url}/v1"\n'
        (tmp_path / "mediary.toml").write_text(table, encoding="utf-8")
        shown = b""
        for body in answers.values():
            stream = [b"data: " + body + b"\n\n", b"data: [DONE]\n\n"]
            up.answers["/v1/chat/completions"] = chunked(stream, "Content-Type: text/event-stream", "Connection: close")
            shown += await asyncio.to_thread(on_a_terminal, tmp_path, "chat", "Hi", "-m", "m", "-p", "Up")
    shown += await asyncio.to_thread(on_a_terminal, tmp_path, "chat", "Hi", "-p", "No\x1b[2Jbody")

    assert b"Hm[2J" in shown and b"It broke[2J" in shown and b"No" in shown
    assert b"\x1b[2J" not in shown and "\x9b".encode() not in shown
