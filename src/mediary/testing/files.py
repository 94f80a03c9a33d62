"""What the suites for stores put into them, and how."""

import random

from mediary.storage.base import Store, StoredFile

# Names as `names.secure_filename` and `names.get_filename` make them.
GOOD_NAMES = [
    "a.png",
    "1704123456_flux+anime+character_a1b2c3d4e5f67890.jpg",
    "no-extension",
    "two.dots,and+more-_signs.tar.gz",
    "日本語のなまえ.webp",
    "हिन्दी.mp3",
    "é" * 120 + ".webm",
    "n" * 251 + ".mp4",
]
BAD_NAMES = [
    "",
    ".",
    "..",
    ".hidden",
    "/",
    "a/b",
    "../a.png",
    "/etc/passwd",
    "a\\b",
    "a\0b",
    "n" * 256,
    "é" * 128,
    "\ud800",
]


async def put(store: Store, name: str, data: bytes, sha256: str | None = None) -> StoredFile:
    """Store a file in one go."""
    async with store.stage() as staged:
        await staged.write(data)
        return await staged.commit(name, sha256)


async def fetch(store: Store, name: str, start: int = 0, end: int | None = None) -> bytes:
    """The bytes of a file, or a range of them."""
    return b"".join([piece async for piece in store.read(name, start, end)])


async def names(store: Store) -> list[str]:
    """All names of a store, by pages of three."""
    found: list[str] = []
    after: str | None = None
    while True:
        page = await store.list(after, limit=3)
        found += [file.name for file in page.files]
        if page.next is None:
            return found
        after = page.next


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress, the same for the same seed."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - nothing secret
