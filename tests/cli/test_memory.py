"""`mediary memory`: what is kept by one command is found and deleted by another."""

import json
import subprocess
from pathlib import Path

from tests.cli.commands import COMMAND, run
from tests.servers.mediary import clean_environment


def test_things_are_kept_found_and_deleted(tmp_path: Path):
    kept = run(tmp_path, "memory", "add", "ann", "I like tea", "My cat is called Miezi", "--conversation", "c1")
    assert (kept.returncode, kept.stderr) == (0, "mediary: 2 items kept\n")
    found = run(tmp_path, "memory", "search", "ann", "cats", "--json")
    [item] = map(json.loads, found.stdout.splitlines())
    assert (item["memory"], item["metadata"]) == ("My cat is called Miezi", {"conversation_id": "c1"})
    assert run(tmp_path, "memory", "rm", "ann", item["id"]).returncode == 0
    again = run(tmp_path, "memory", "rm", "ann", item["id"])
    assert (again.returncode, "no item" in again.stderr) == (1, True)
    assert "I like tea" in run(tmp_path, "memory", "search", "ann").stdout
    assert run(tmp_path, "memory", "rm", "ann", "--all").stderr == "mediary: 1 item deleted\n"
    assert run(tmp_path, "memory", "search", "ann").returncode == 1


def test_lines_of_a_pipe_are_items(tmp_path: Path):
    command = [*COMMAND, "memory", "add", "bob"]
    env = clean_environment(MEDIARY_DISCOVER="false")
    piped = b"One\n\nTwo\xff\x1b[31m\n"
    subprocess.run(command, cwd=tmp_path, env=env, input=piped, check=True, timeout=60, capture_output=True)
    listed = run(tmp_path, "memory", "search", "bob").stdout.splitlines()
    assert [line.split()[1][:3] for line in listed] == ["Two", "One"]
    assert "\x1b" not in listed[0]


def test_what_cannot_be_done_is_said(tmp_path: Path):
    for wrong in (("rm", "ann"), ("rm", "ann", "1", "--all"), ("search", "ann", "--limit", "0")):
        assert run(tmp_path, "memory", *wrong).returncode == 2, wrong
    for refused in (("add", "x" * 129, "One"), ("search", "ann", "--data", "nowhere")):
        ended = run(tmp_path, "memory", *refused)
        assert (ended.returncode, ended.stderr.startswith("mediary: ")) == (1, True), refused
    (tmp_path / "mediary.toml").write_text('[memory]\nembeddings = "Nobody/model"\n')
    assert "no provider 'Nobody'" in run(tmp_path, "memory", "search", "ann").stderr
    (tmp_path / "mediary.toml").write_text('[providers.Local]\nwire = "local"\n[memory]\nembeddings = "Local/x"\n')
    assert "cannot place texts" in run(tmp_path, "memory", "search", "ann").stderr
