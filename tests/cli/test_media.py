"""`mediary media` as a person runs it: what it prints, what it says, what it ends with."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands import interrupted, on_a_terminal, run
from tests.media.samples import picture, sound
from tests.servers.http import raw_server, response
from tests.servers.mediary import MediaryServer

CAT = "1704123456_cat_00000000000000aa.png"
DOG = "1704123457_dog_00000000000000bb.jpg"
SONG = "1704123458_0123456789abcdef.mp3"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a cat, a dog and a song."""
    data = tmp_path_factory.mktemp("first")
    files = data / "files"
    files.mkdir()
    (files / CAT).write_bytes(picture(".png"))
    (files / DOG).write_bytes(picture(".jpg"))
    (files / SONG).write_bytes(sound("mp3", "libmp3lame"))
    done = run(data, "media", "add", "files", "--tag", "mine", "--prompt", "in the \x1b[31mgarden")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"/media/{name}" for name in (CAT, DOG, SONG)]
    return data


@pytest.fixture
def data(first: Path, tmp_path: Path) -> Path:
    """The same for a test that changes it."""
    return shutil.copytree(first, tmp_path / "data")


def media(folder: Path, *arguments: str, **env: str) -> list[str]:
    """The lines of a command that ends well and says nothing else."""
    done = run(folder, "media", *arguments, **env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def objects(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """The same as JSON."""
    return [json.loads(line) for line in media(folder, *arguments, "--json")]


def failed(folder: Path, *arguments: str) -> tuple[int, str]:
    """How a command ended, and what it said."""
    done = run(folder, "media", *arguments)
    return done.returncode, done.stderr


def test_names_alone_go_through_a_pipe(first: Path):
    assert media(first, "list") == [SONG, DOG, CAT]
    assert media(first, "list", "--kind", "image", "--order", "oldest", "--limit", "1") == [CAT]
    assert media(first, "list", "--from", "2024-01-01", "--to", "2024-01-02", "--tag", "mine") == [SONG, DOG, CAT]
    assert media(first, "list", "--to", "2023-12-31") == []
    assert media(first, "search", "image", "garden", "--skip", "1") == [CAT]


def test_json_has_all_that_is_known(first: Path):
    [song, dog, cat] = objects(first, "list")
    assert (cat["url"], cat["width"], cat["size"]) == (f"/media/{CAT}", 64, len(picture(".png")))
    assert (cat["created"], cat["tags"]) == (1_704_123_456, ["mine"])
    assert song["media_type"] == "audio/mpeg"
    assert objects(first, "show", f"http://localhost:8080/media/{DOG}?url=x") == [dog]


def test_a_terminal_gets_a_table_that_fits_and_no_control_characters(first: Path):
    wide = on_a_terminal(first, "media", "list", columns=120).decode()
    assert "garden" in wide
    assert "jpeg 64x48" in wide
    assert "\x1b[31m" not in wide
    narrow = on_a_terminal(first, "media", "list", columns=40).decode()
    assert CAT in narrow
    assert "garden" not in narrow


def test_what_cannot_be_done_is_a_sentence_and_exit_code_1(data: Path, tmp_path: Path):
    assert failed(data, "show", "nope.png") == (1, "mediary: there is no media item 'nope.png'\n")
    assert failed(data, "search", "unicorn") == (1, "mediary: nothing is found\n")
    assert failed(data, "restore", CAT)[0] == 1
    code, said = failed(tmp_path, "list")
    assert (code, "there is no media library in" in said) == (1, True)
    assert not (tmp_path / "generated_media").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ("list", "--from", "yesterday"),
        ("list", "--kind", "text"),
        ("move",),
        ("move", "--to", ""),
        ("move", "--to", "local", "--remove-source"),
    ],
)
def test_what_is_not_written_as_it_should_be_is_exit_code_2(first: Path, wrong: tuple[str, ...]):
    code, said = failed(first, *wrong)
    assert (code, "Usage" in said) == (2, True)


def test_what_is_no_media_is_named_and_left_out(data: Path):
    (data / "files" / "below" / ".hidden").mkdir(parents=True)
    (data / "files" / "below" / "more.png").write_bytes(picture(width=80))
    (data / "files" / "below" / ".hidden" / "more.png").write_bytes(picture())
    (data / "files" / "notes.txt").write_text("nothing to see")

    done = run(data, "media", "add", "files", "--skip-known", "missing.png")
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["files/notes.txt", "missing.png"]

    added = run(data, "media", "add", "-r", "--skip-known", "--json", "files")
    assert [json.loads(line)["source"] for line in added.stdout.splitlines()] == ["files/below/more.png"]


def test_what_nobody_writes_into_is_not_waited_for(data: Path):
    os.mkfifo(data / "files" / "pipe.png")
    done = run(data, "media", "add", "files", "--skip-known")
    assert (done.returncode, done.stderr.splitlines()[0].split(": ")[1]) == (1, "files/pipe.png")


def test_what_lies_in_the_library_is_not_added_to_it(data: Path):
    before = media(data, "list")
    run(data, "media", "add", "-r", ".", "generated_media")
    added = [line for line in media(data, "list") if line not in before]
    assert len(added) == len([path for path in (data / "files").rglob("*") if path.is_file()])


async def test_a_url_passes_the_guard(data: Path):
    async with raw_server() as server:
        server.answers["/cat.png"] = response(picture(width=96))
        code, said = await asyncio.to_thread(failed, data, "add", f"{server.url}/cat.png")
        assert (code, "allow" in said) == (1, True)
        (data / "mediary.toml").write_text('[net]\nallow = ["127.0.0.0/8"]\n')
        [item] = await asyncio.to_thread(objects, data, "add", f"{server.url}/cat.png", "--alt", "A cat")
    assert (item["source_url"], item["alt"], item["width"]) == (f"{server.url}/cat.png", "A cat", 96)


def test_what_a_file_says_of_itself_is_kept_through_export_and_add(data: Path, tmp_path: Path):
    copies = tmp_path / "copies"
    assert media(data, "export", "--embed", "--to", str(copies), CAT, f"/media/{DOG}") == [
        str(copies / CAT), str(copies / DOG)
    ]  # fmt: skip
    assert (copies / CAT).read_bytes() != picture(".png")
    assert failed(data, "export", "--to", str(copies), CAT) == (1, f"mediary: {CAT}: {copies / CAT} exists already\n")
    done = run(data, "media", "export", "--embed", "--force", "--to", str(copies), SONG)
    assert (done.returncode, "without its words" in done.stderr) == (0, True)

    other = tmp_path / "other"
    assert media(tmp_path, "add", str(copies), "--data", str(other)) == [f"/media/{name}" for name in (CAT, DOG, SONG)]
    for item in objects(other, "list", "--kind", "image"):
        assert ("garden" in item["prompt"], item["tags"], int(item["created"])) == (
            True, ["mine"], 1_704_123_456 + (item["name"] == DOG)
        )  # fmt: skip


def test_the_trash_gives_back_what_was_not_removed_for_good(data: Path):
    media(data, "rm", CAT, DOG)
    assert media(data, "list") == [SONG]
    assert media(data, "list", "--trashed") == [DOG, CAT]
    assert media(data, "restore", CAT) == [f"/media/{CAT}"]
    assert objects(data, "rm", "--now", CAT, DOG) == [
        {"name": CAT, "trashed": False}, {"name": DOG, "trashed": False}
    ]  # fmt: skip
    assert failed(data, "restore", CAT)[0] == 1
    assert not list((data / "generated_media" / ".trash").glob("*.*"))


def test_what_changed_in_the_folder_is_found(data: Path):
    folder = data / "generated_media"
    (folder / "1704200000_bird_00000000000000cc.webp").write_bytes(picture(".webp", width=72))
    (folder / DOG).unlink()
    assert media(data, "search", "bird") == ["1704200000_bird_00000000000000cc.webp"]
    assert media(data, "list") == ["1704200000_bird_00000000000000cc.webp", SONG, CAT]

    [counts] = objects(data, "reindex", "--deep")
    assert counts["appeared"] == 0
    [bird] = objects(data, "show", "1704200000_bird_00000000000000cc.webp")
    assert (bird["width"], len(bird["sha256"]), bird["colour"][0]) == (72, 64, "#")


def test_an_unmounted_disk_costs_nothing(data: Path):
    assert len(media(data, "list")) == 3
    folder = data / "generated_media"
    folder.rename(data / "elsewhere")
    folder.mkdir()
    code, said = failed(data, "list")
    assert (code, "is its disk mounted?" in said) == (1, True)

    shutil.rmtree(folder)
    (data / "elsewhere").rename(folder)
    assert len(media(data, "list", "--tag", "mine")) == 3


def test_verify_says_what_is_wrong(data: Path):
    [report] = objects(data, "verify")
    assert (report["ok"], report["checked"]) == (True, 3)

    with (data / "generated_media" / CAT).open("r+b") as file:
        file.write(b"x")
    done = run(data, "media", "verify")
    assert (done.returncode, done.stdout.startswith(f"altered: {CAT}: ")) == (1, True)
    assert "not all is well" in done.stderr


def test_gc_says_what_would_go_and_why(data: Path):
    media(data, "rm", DOG)
    (data / "mediary.toml").write_text("[media]\ntrash_days = 0\n")
    [doomed] = objects(data, "gc", "--dry-run")
    assert (doomed["what"], doomed["name"]) == ("trash", DOG)
    assert objects(data, "gc") == [doomed]
    assert media(data, "list", "--trashed") == []


def test_a_library_moves_and_the_move_is_finished_once(data: Path, tmp_path: Path):
    store = (tmp_path / "objects").as_uri()
    [moved] = objects(data, "move", "--to", store)
    assert (moved["copied"], moved["ok"]) == (3, True)
    [again] = objects(data, "move", "--to", store)
    assert (again["copied"], again["skipped"]) == (0, 3)
    assert media(data, "list", MEDIARY_MEDIA_STORE=store) == [SONG, DOG, CAT]
    assert failed(data, "move", "--to", "local")[0] == 1
    assert objects(data, "move", "--abandon") == []


def test_it_works_beside_a_server(data: Path):
    with MediaryServer(data) as server:
        [url] = media(data, "add", "files/" + CAT)
        assert server.get(url) == picture(".png")
        media(data, "rm", CAT)
        with server.open(f"/media/{CAT}") as answer:
            assert answer.status == 404


def test_an_interrupt_says_how_far_it_came(data: Path, tmp_path: Path):
    many = tmp_path / "many"
    many.mkdir()
    for number in range(300):
        (many / f"{number}.png").write_bytes(picture())
    done = interrupted(data, "media", "add", str(many), at="/media/")

    assert done.returncode == 130
    added = int(done.stderr.removeprefix("mediary: stopped; ").split(" ")[0])
    assert 0 < added < 300
    assert done.stderr.endswith(" added\n")
    assert len(media(data, "list", "--limit", "1000")) == 3 + added
    assert list((data / "generated_media" / ".incoming").iterdir()) == []
