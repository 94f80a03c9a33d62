"""What is sealed opens with its key and for its purpose alone; the key of a folder is made once."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.errors import SealError, SettingsError
from mediary.sealing import KEY_FILE, Sealer

SEALER = Sealer(bytes(range(32)))


@given(st.binary(max_size=300), st.text(max_size=20))
def test_what_is_sealed_can_be_opened(data: bytes, purpose: str):
    sealed = SEALER.seal(data, purpose)
    assert SEALER.open(sealed, purpose) == data
    assert sealed != SEALER.seal(data, purpose)


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_changed_byte_is_noticed(data: bytes, draw: st.DataObject):
    sealed = bytearray(SEALER.seal(data, "cookies"))
    at = draw.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(SealError):
        SEALER.open(bytes(sealed), "cookies")


@pytest.mark.parametrize("sealed", [b"", b"short", b"x" * 12, b"x" * 28])
def test_what_nobody_sealed_is_refused(sealed: bytes):
    with pytest.raises(SealError):
        SEALER.open(sealed, "cookies")


def test_another_purpose_or_key_opens_nothing():
    sealed = SEALER.seal(b"secret", "cookies")
    for sealer, purpose in ((SEALER, "uploads"), (Sealer(bytes(32)), "cookies"), (Sealer.of_secret("a"), "cookies")):
        with pytest.raises(SealError, match=r"seal_key"):
            sealer.open(sealed, purpose)


def test_a_secret_makes_the_same_key_everywhere():
    assert Sealer.of_secret("of the team").open(Sealer.of_secret("of the team").seal(b"x", "p"), "p") == b"x"


def test_the_key_of_a_folder_is_for_its_owner_alone_and_lasts(tmp_path: Path):
    sealed = Sealer.of_folder(tmp_path).seal(b"x", "p")
    assert Sealer.of_folder(tmp_path).open(sealed, "p") == b"x"
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_who_makes_the_key_at_once_has_the_same(tmp_path: Path):
    with ThreadPoolExecutor(16) as threads:
        sealers = list(threads.map(lambda _: Sealer.of_folder(tmp_path), range(32)))
    sealed = sealers[0].seal(b"x", "p")
    assert {sealer.open(sealed, "p") for sealer in sealers} == {b"x"}


@pytest.mark.parametrize("content", [b"", b"not base64!", b"c2hvcnQ="])
def test_a_damaged_key_is_told(tmp_path: Path, content: bytes):
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(SettingsError, match="no key of ours"):
        Sealer.of_folder(tmp_path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(SettingsError, match="cannot be read or made"):
        Sealer.of_folder(tmp_path / "nowhere")
