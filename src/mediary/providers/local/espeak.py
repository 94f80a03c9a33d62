"""espeak-ng, by ctypes: text becomes sound on this machine.

The library keeps one state for the whole process and is not safe for threads, so all of it runs on one thread of its
own: give functions that touch the engine to `on_speech_thread`.
"""

import asyncio
import atexit
import ctypes
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from mediary.errors import FieldError, ProviderUnavailableError
from mediary.providers.base import Voice

# The names and values of speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_RATE = 1
_EE_OK = 0

_BUFFER_MILLISECONDS = 500
_LONGEST_DATA_PATH = 120  # bytes; the library's own buffer for paths is small, and a longer one fails without a word
_SAID_FIRST = ("en", "en-us", "de", "es", "fr", "it", "pt", "nl", "pl", "ru", "cmn", "ja")

_VARIANTS_SAID_FIRST = ("f1", "f2", "f3", "m1", "m2", "m3", "whisper", "croak")

P = ParamSpec("P")
R = TypeVar("R")


class _VoiceStruct(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),  # priority byte, name, NUL, …, and a zero byte at the end
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("_", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_VoiceList = ctypes.POINTER(ctypes.POINTER(_VoiceStruct))
_OnSound = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


@dataclass(slots=True, frozen=True)
class _Entry:
    """A voice as the library lists it; `languages` are pairs of priority (low is better) and tag."""

    identifier: str
    name: str
    languages: tuple[tuple[int, str], ...]


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="speech")


async def on_speech_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a function where the engine may be used."""
    return await asyncio.get_running_loop().run_in_executor(_thread(), lambda: function(*args, **kwargs))


@cache
def engine() -> "Engine":
    """The one engine of this process, made on first use. Call it on the speech thread."""
    return Engine()


class Engine:
    """The library, set up: voices, and speech as 16-bit mono samples of `rate` Hz."""

    def __init__(self) -> None:
        try:
            import espeakng_loader  # a wheel with the library and its data; only who speaks pays for it

            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
            self._declare()
            data = _short_path(Path(espeakng_loader.get_data_path()))
        except (ImportError, OSError, AttributeError, RuntimeError):
            # In this order: the wheel is missing, no library of this machine, another library, its data are missing.
            raise ProviderUnavailableError(
                "espeak-ng cannot be loaded, so there is no speech here: install the package espeakng-loader (again)"
            ) from None
        self.rate: int = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MILLISECONDS, os.fsencode(data), _INITIALIZE_DONT_EXIT
        )
        if self.rate <= 0:
            raise ProviderUnavailableError(
                "espeak-ng does not find its voices: install the package espeakng-loader again"
            )
        self._pieces: list[bytes] = []
        self._on_sound = _OnSound(self._keep)  # held here, for the library holds only its address
        self._library.espeak_SetSynthCallback(self._on_sound)
        self._selected: str | None = None

    def _declare(self) -> None:
        library = self._library
        library.espeak_Initialize.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
        library.espeak_SetSynthCallback.argtypes = (_OnSound,)
        library.espeak_SetVoiceByName.argtypes = (ctypes.c_char_p,)
        library.espeak_SetParameter.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int)
        library.espeak_ListVoices.argtypes = (ctypes.POINTER(_VoiceStruct),)
        library.espeak_ListVoices.restype = _VoiceList
        library.espeak_Synth.argtypes = (
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
            ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        )  # fmt: skip

    def _keep(self, samples: int | None, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._pieces.append(ctypes.string_at(samples, count * 2))
        return 0  # go on

    def speak(self, text: str, voice: str, words_per_minute: int) -> bytes:
        """The sound of a text in a voice that `find` gave."""
        if voice != self._selected:
            self._check(self._library.espeak_SetVoiceByName(voice.encode()))
            self._selected = voice
        self._check(self._library.espeak_SetParameter(_RATE, words_per_minute, 0))
        spoken = text.replace("\0", " ").encode("utf-8", "replace")
        self._pieces.clear()
        self._check(self._library.espeak_Synth(spoken, len(spoken) + 1, 0, 0, 0, _CHARS_UTF8, None, None))
        return b"".join(self._pieces)

    def _check(self, code: int) -> None:
        if code != _EE_OK:
            self._selected = None
            raise ProviderUnavailableError(f"espeak-ng failed with its code {code}")

    @cached_property
    def voices(self) -> tuple[Voice, ...]:
        """Every voice, by language."""
        voices = (Voice(_short(entry), entry.name, entry.languages[0][1]) for entry in self._entries)
        return tuple(sorted(voices, key=lambda voice: voice.id))

    def find(self, wanted: str) -> str:
        """The library's own name for a voice (`en-us`), a language (`pt`) or either with a variant (`en+f3`).

        FieldError names some if there is none.
        """
        base, plus, variant = wanted.strip().replace("_", "-").partition("+")
        found = self._by_name.get(base.casefold())
        if found is None:
            near = get_close_matches(base.casefold(), self._by_name, n=3, cutoff=0.8)
            some = near or [name for name in _SAID_FIRST if name in self._by_name]
            raise FieldError("voice", f"no voice {wanted[:50]!r}; some there are: {', '.join(some)}")
        if plus and variant.casefold() not in self._variants:
            some = [name for name in _VARIANTS_SAID_FIRST if name in self._variants]
            raise FieldError("voice", f"no variant {variant[:50]!r} of a voice; some there are: {', '.join(some)}")
        return f"{found}+{self._variants[variant.casefold()]}" if plus else found

    @cached_property
    def _entries(self) -> tuple[_Entry, ...]:
        return tuple(_entries(self._library.espeak_ListVoices(None)))

    @cached_property
    def _by_name(self) -> dict[str, str]:
        """Identifiers by all that a voice may be called; of voices with the same language the best one has it."""
        names = {_short(entry): entry.identifier for entry in self._entries}
        ranked = [(priority, tag, entry.identifier) for entry in self._entries for priority, tag in entry.languages]
        for _, tag, identifier in sorted(ranked, key=lambda item: item[0]):
            names.setdefault(tag.casefold(), identifier)
        for entry in self._entries:
            names.setdefault(entry.name.casefold(), entry.identifier)
        return names

    @cached_property
    def _variants(self) -> dict[str, str]:
        tag = ctypes.create_string_buffer(b"\0variant\0")
        wanted = _VoiceStruct(languages=ctypes.cast(ctypes.addressof(tag) + 1, ctypes.c_void_p))
        entries = _entries(self._library.espeak_ListVoices(ctypes.byref(wanted)))
        names = sorted(entry.identifier.rpartition("/")[2] for entry in entries)
        return {name.casefold(): name for name in names}


def _short(entry: _Entry) -> str:
    """What a request calls a voice: the last part of its identifier, `gmw/en-US` is `en-us`."""
    return entry.identifier.rpartition("/")[2].casefold()


def _entries(voices: Any) -> Iterator[_Entry]:
    """The voices of a list that the library gave."""
    index = 0
    while voices[index]:
        voice = voices[index].contents
        yield _Entry(voice.identifier.decode(), voice.name.decode(), tuple(_languages(voice.languages)))
        index += 1


def _languages(address: int) -> Iterator[tuple[int, str]]:
    while (priority := ctypes.string_at(address, 1)) != b"\0":
        tag = ctypes.string_at(address + 1)
        yield priority[0], tag.decode()
        address += len(tag) + 2


def _short_path(data: Path) -> Path:
    """The folder itself, or where its path is too long for the library, a link to it that goes with the process."""
    if len(os.fsencode(data)) <= _LONGEST_DATA_PATH:
        return data
    folder = Path(tempfile.mkdtemp(prefix="espeak-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = folder / data.name
    link.symlink_to(data, target_is_directory=True)
    return link
