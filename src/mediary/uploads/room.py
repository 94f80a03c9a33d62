"""Uploads in one place: files of this machine or bytes in, what lies with providers out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediary.errors import BadRequestError
from mediary.uploads.base import Credentials, File, Progress
from mediary.uploads.files import clean_name

if TYPE_CHECKING:
    from mediary.uploads.delivery.uploader import Uploader
    from mediary.uploads.files import Check, Files
    from mediary.uploads.records.entry import Forgotten, Unfinished, Upload, UploadPage


class UploadRoom:
    """Carries files to providers, by the names that settings give these, and knows what lies there."""

    def __init__(self, uploader: "Uploader", files: "Files") -> None:
        self.uploader = uploader
        self.files = files

    @property
    def names(self) -> tuple[str, ...]:
        """Where files can be uploaded to."""
        return tuple(self.uploader.flows)

    async def upload(
        self,
        file: Path | str | bytes | File,
        provider: str,
        *,
        name: str | None = None,
        model: str | None = None,
        api_key: str | None = None,
        cookies: Mapping[str, str] | None = None,
        progress: Progress = lambda _: None,
        resumable: bool = False,
        waiting: Callable[[], None] = lambda: None,
    ) -> "Upload":
        """Carry a file to a provider by its own protocol, unless it lies there already.

        `file` is a path, bytes (which need a `name`) or a `File`; `name` is what the provider is told. `api_key` and
        `cookies` stand in for those of the settings. `progress` is told the bytes that are out. What is `resumable` is
        written down, so that the next attempt, in whatever process, goes on where this one stopped; `waiting` is told
        if another process sends the file just now. UnsupportedTypeError and TooLargeError come before a byte is sent
        and say what is taken; MissingAuthError says what to hand in; what else the provider has against it is a
        ProviderError with its words. NotFoundError and UnreadableError are about the file here.
        """
        flow = self.uploader.get(provider)
        credentials = Credentials(api_key, cookies or {})
        # Asked before the file is read: that takes a while with a large one.
        known = await self._known(file, name, partial(flow.takes(model).check, flow.label))
        return await self.uploader.upload(
            flow, known, credentials, model=model, progress=progress, resumable=resumable, waiting=waiting
        )

    def check(self, provider: str, name: str, media_type: str, size: int, model: str | None = None) -> None:
        """UnsupportedTypeError or TooLargeError for a file that the provider does not take, saying what it takes."""
        flow = self.uploader.get(provider)
        flow.takes(model).check(flow.label, name, media_type, size)

    def message(self, uploads: "Sequence[Upload]", text: str = "") -> dict[str, Any]:
        """A message of the user with these files, all of one provider, as the provider's own clients send it."""
        providers = {upload.provider for upload in uploads}
        if len(providers) != 1:
            raise BadRequestError("a message has files that lie with one provider")
        return self.uploader.get(providers.pop()).message([upload.file for upload in uploads], text)

    async def list(self, provider: str | None = None, cursor: str | None = None, limit: int = 50) -> "UploadPage":
        """What lies where, newest first, from a cursor on; NotFoundError for a provider that takes no uploads."""
        name = self.uploader.get(provider).name if provider else None
        return await self.uploader.list(name, cursor, limit)

    async def unfinished(self, provider: str | None = None) -> "Sequence[Unfinished]":
        """Uploads that were stopped in the middle and can be gone on with, and those on their way; newest first."""
        return await self.uploader.unfinished(self.uploader.get(provider).name if provider else None)

    async def forget(self, upload_id: str, *, api_key: str | None = None) -> "Forgotten":
        """Forget an upload, and remove it there where the provider can; NotFoundError if there is none.

        Of an unfinished one, what has arrived is removed; ConflictError while somebody is busy with it.
        """
        return await self.uploader.forget(upload_id, Credentials(api_key))

    async def _known(self, file: Path | str | bytes | File, name: str | None, check: "Check") -> File:
        match file:
            case File():
                return replace(file, name=clean_name(name)) if name else file
            case bytes():
                if name is None:
                    raise BadRequestError("bytes need a name")
                return await self.files.of_bytes(file, name)
            case _:
                return await self.files.of_path(Path(file), name, check)


def describe_upload(upload: "Upload", *, listed: bool = False) -> dict[str, Any]:
    """An upload as clients read it; in a list without the provider's entry, which may hold a signed link."""
    file = upload.file
    described = {
        "id": upload.id,
        "provider": upload.provider,
        "flow": upload.flow,
        "name": file.name,
        "type": file.media_type,
        "size": file.size,
    }
    if listed:
        return described | {"created": upload.created, "expires_at": file.expires_at}
    return described | {"file": file.entry or {"id": file.id}, "cached": upload.cached, "expires_at": file.expires_at}
