"""One POST of a form with some fields and then the file: to a signed place, or to the provider's own API."""

from msgspec import Struct

from mediary.providers.http.form import Form
from mediary.uploads.base import Account, File, Progress, Sent
from mediary.uploads.senders.presigned_put import send_whole, unsigned
from mediary.uploads.transport import Answer, Slice, Transport


class MultipartForm(Struct, tag="form"):
    """Sends a form to `url`: the fields in their order, the file last, with a Content-Length, at constant memory.

    With an `account` the form is a question to the provider's own API: `url` is a path below the base URL, the
    account's headers go along, and a refusal is what `Transport.api` makes of it. Without one it goes to a storage,
    bears no credentials, and a refusal is an UploadRefusedError. `filename` is for who does not take the file's own.
    """

    url: str
    fields: list[tuple[str, str]] = []
    account: Account | None = None
    file_field: str = "file"
    headers: dict[str, str] = {}
    filename: str | None = None

    async def send(self, transport: Transport, file: File, progress: Progress) -> Sent:
        """Send all of it, and again where that failed on the way; the answer is in `Sent.body`."""

        async def send(content: Slice) -> Answer:
            form = Form(self.fields, self.file_field, self.filename or file.name, file.media_type, content)
            headers = {**self.headers, "Content-Type": form.content_type}
            if self.account is None:
                secrets = [value for _, value in self.fields]
                return await transport.store("POST", self.url, body=form, headers=headers, secrets=secrets)
            return await transport.api("POST", self.url, self.account, body=form, headers=headers)

        return await send_whole(file, progress, send)

    def __repr__(self) -> str:
        """Without what the form or the link is signed with."""
        return f"MultipartForm({unsigned(self.url)!r})"
