"""JSON, a value a line, as it arrives: each line that is whole, wherever the chunks are cut."""

from collections.abc import AsyncGenerator, AsyncIterable

import msgspec

from mediary.errors import ProviderError

_any = msgspec.json.Decoder(msgspec.Raw)


async def json_lines(chunks: AsyncIterable[bytes], max_bytes: int = 64 * 1024 * 1024) -> AsyncGenerator[bytes, None]:
    r"""Each line, without its end; lines of white space are skipped.

    Many lines in one chunk come without a suspension between them. A last line without its end is yielded if it is
    JSON as it stands, and dropped else, since it was cut. ProviderError when one line is larger than `max_bytes`.
    """
    pending: list[bytes] = []
    size = 0
    async for chunk in chunks:
        *lines, rest = chunk.split(b"\n")
        if lines and pending:
            # What is not whole yet waits in pieces, so that a long line is joined only once.
            lines[0] = b"".join([*pending, lines[0]])
            pending.clear()
            size = 0
        for line in lines:
            if line and not line.isspace():
                yield line
        if rest:
            size += len(rest)
            if size > max_bytes:
                raise ProviderError(f"the provider sent a single line of more than {max_bytes} bytes")
            pending.append(rest)
    rest = b"".join(pending)
    if _is_json(rest):
        yield rest


def _is_json(text: bytes) -> bool:
    try:
        _any.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
