"""Server-sent events as they arrive: the data of each, whatever the line ends and wherever the chunks are cut."""

from collections.abc import AsyncGenerator, AsyncIterable

from mediary.errors import ProviderError

_BOM = b"\xef\xbb\xbf"


async def events(chunks: AsyncIterable[bytes], max_bytes: int = 64 * 1024 * 1024) -> AsyncGenerator[bytes, None]:
    """The data of each event; `event`, `id`, `retry` and comments are skipped.

    Many events in one chunk come without a suspension between them. A stream that ends without the last blank line has
    its last event yielded if the line of it is whole, since some servers leave the blank line out; a line without its
    end is dropped, since it may have been cut. ProviderError when one event is larger than `max_bytes`.
    """
    parser = _Parser(max_bytes)
    async for chunk in chunks:
        for data in parser.feed(chunk):
            yield data
    for data in parser.end():
        yield data


class _Parser:
    """Cuts bytes into events; what is not whole yet waits in pieces, so that a long event is joined only once."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pending: list[bytes] = []
        self._size = 0
        self._begun = False
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that a chunk completes."""
        if not self._begun:
            chunk = self._without_bom(chunk)
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_plain_line_ends(chunk)
        if not chunk:
            return []
        pending = self._pending
        if pending:
            if b"\n\n" not in chunk and not (chunk[0] == 10 and pending[-1][-1] == 10):
                self._wait(chunk)
                return []
            pending.append(chunk)
            chunk = b"".join(pending)
            pending.clear()
        *blocks, rest = chunk.split(b"\n\n")
        self._size = 0
        if rest:
            self._wait(rest)
        return _data_of(blocks)

    def end(self) -> list[bytes]:
        """The data of a last event that no blank line follows."""
        rest = b"".join(self._pending)
        return _data_of([rest]) if rest.endswith(b"\n") else []

    def _wait(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._max_bytes:
            raise ProviderError(f"the provider sent a single event of more than {self._max_bytes} bytes")
        self._pending.append(piece)

    def _without_bom(self, chunk: bytes) -> bytes:
        """The stream's beginning, without the byte order mark; nothing while it may still be one."""
        head = b"".join(self._pending) + chunk
        self._pending.clear()
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._pending.append(head)
            return b""
        self._begun = True
        return head.removeprefix(_BOM)

    def _with_plain_line_ends(self, chunk: bytes) -> bytes:
        r"""A chunk with \n for every line end; a \n that follows the \r of the chunk before is no other end."""
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if chunk.endswith(b"\r"):
            self._after_cr = True
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _data_of(blocks: list[bytes]) -> list[bytes]:
    found = []
    for block in blocks:
        if block.startswith(b"data: ") and b"\n" not in block:  # what nearly every block is
            found.append(block[6:])
        else:
            lines = [line for line in block.split(b"\n") if line.startswith(b"data:") or line == b"data"]
            if lines:
                found.append(b"\n".join([line[5:].removeprefix(b" ") for line in lines]))
    return found
