"""The answers that are kept."""

import os
from pathlib import Path

import pytest

from mediary.conversations.creating.created import AnswerCache, Created, is_sound, item_name
from mediary.errors import NotFoundError
from mediary.storage.local import LocalStore

KEY = "0" * 64


@pytest.fixture
def cache(tmp_path: Path) -> AnswerCache:
    (tmp_path / "media").mkdir()
    return AnswerCache(LocalStore(tmp_path / "answers"), LocalStore(tmp_path / "media"), 1000, days=1)


async def test_an_answer_comes_back_as_it_was(cache: AnswerCache, tmp_path: Path):
    (tmp_path / "media" / "a b.png").write_bytes(b"x")
    created = Created(text="Ä\0\n", media=("/media/a%20b.png?url=https%3A%2F%2Fexample.com",), run="1")
    assert await cache.find(KEY) is None
    await cache.add(KEY, created)
    assert await cache.find(KEY) == created
    (tmp_path / "media" / "a b.png").unlink()
    assert await cache.find(KEY) is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"text": 1}', b"\xff"])
async def test_what_cannot_be_read_is_not_there(cache: AnswerCache, tmp_path: Path, body: bytes):
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / KEY).write_bytes(body)
    assert await cache.find(KEY) is None


async def test_what_is_too_old_or_too_large_is_not_given(cache: AnswerCache):
    await cache.add(KEY, Created(text="old", made=1.0))
    assert await cache.find(KEY) is None
    await cache.add(KEY, Created(text="x" * 1000))
    assert await cache.find(KEY) is None


async def test_an_answer_in_use_stays(cache: AnswerCache, tmp_path: Path):
    await cache.add(KEY, Created(text="x"))
    os.utime(tmp_path / "answers" / KEY, (0, 0))
    assert await cache.find(KEY) is not None
    assert (tmp_path / "answers" / KEY).stat().st_atime > 0


def test_which_answers_are_good_later_too():
    assert Created(text="x", media=("/media/a.png",)).may_be_kept
    assert not Created().may_be_kept
    assert not Created(text="x", whole=False).may_be_kept
    assert not Created(media=("https://example.com/a.png",)).may_be_kept


def test_urls_tell_items_and_sounds():
    assert item_name("/media/a%2Bb.mp3?url=x") == "a+b.mp3"
    assert item_name("https://example.com/media/a.mp3") is None
    assert is_sound("/media/a.mp3?url=x.png")
    assert not is_sound("/media/a.png")


async def test_a_name_that_leads_elsewhere_is_no_item(cache: AnswerCache):
    await cache.add(KEY, Created(media=("/media/..%2Fsecret",)))
    assert await cache.find(KEY) is None
    with pytest.raises(NotFoundError):
        await LocalStore(Path()).get("../secret")
