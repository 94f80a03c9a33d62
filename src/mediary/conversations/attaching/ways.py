"""How files can reach a provider: within the question, by an upload that it points to, or as text."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from mediary.conversations.attaching.held import Held
from mediary.errors import MediaryError, TooLargeError, UnsupportedTypeError
from mediary.formats import FORMATS
from mediary.providers.base import Provider, Takes, TakesFiles
from mediary.uploads.base import Attaches, Flow
from mediary.uploads.files import UNKNOWN

if TYPE_CHECKING:
    from mediary.uploads.delivery.uploader import Uploader

USUAL = Takes(("image/*", "audio/*"))
"""What is taken for what a provider takes within a question that does not say."""
LIMIT = "conversation.max_attachment_bytes"

_DOCUMENTS = ("application/pdf", "text/plain")


class AttachingFlow(Flow[Any], Attaches, Protocol):
    """A flow whose files go into conversations."""


@dataclass(slots=True, frozen=True)
class Ways:
    """What a model takes: `inline` within a question, where all files have `most` bytes, and by a `flow`, if any."""

    provider: Provider
    model: str
    inline: Takes
    most: int
    flow: AttachingFlow | None

    @classmethod
    def to(cls, provider: Provider, model: str, most: int, uploader: "Uploader | None") -> "Ways":
        """The ways to a model."""
        inline = provider.takes(model) if isinstance(provider, TakesFiles) else USUAL
        flow = uploader.flows.get(provider.name) if uploader and not inline.inline_only else None
        attaching = cast("AttachingFlow", flow) if isinstance(flow, Attaches) else None
        return cls(provider, model, inline, most, attaching)

    @property
    def together(self) -> int:
        """The bytes that all files within a question may have."""
        return self.most if self.inline.together is None else min(self.most, self.inline.together)

    def overflow(self) -> TooLargeError:
        """Why files that must all stand within the question cannot."""
        if self.together == self.most:
            return TooLargeError(f"the attachments of a request may have {self.most} bytes together ({LIMIT})")
        return TooLargeError(f"{self.provider.name} takes {self.together} bytes of files within a question together")

    def has_inline(self, file: Held) -> bool:
        """Whether a file can stand in the question, as far as its type and its own size go."""
        return self.inline.has(file.media_type) and file.size <= self._most_inline(file.media_type)

    def has_upload(self, file: Held) -> bool:
        """Whether a question can point to the file once it is uploaded."""
        if self.flow is None or not self._points_to(file.media_type):
            return False
        takes = self.flow.takes(self.model)
        limit = takes.limit(file.media_type)
        return takes.has(file.media_type) and (limit is None or file.size <= limit)

    def has_text(self, file: Held) -> bool:
        """Whether a file can be put into the question as text, if it is text to its end."""
        return file.is_text and file.size <= self.most

    def refusal(self, file: Held) -> MediaryError:
        """Why none of the ways is one for this file, and what is taken."""
        who, uploaded = self.provider.name, self._uploadable()
        what = f"{file.name} ({file.media_type}, {file.size} bytes)"
        if self.inline.has(file.media_type) or file.is_text or self._points_to(file.media_type):
            limits = [f"{self._most_inline(file.media_type)} bytes of it within a question ({LIMIT})"]
            if self.flow and self._points_to(file.media_type):
                most = self.flow.takes(self.model).limit(file.media_type)
                limits += [f"{most} bytes by upload"] if most is not None else []
            return TooLargeError(f"{what} is too large for {who}, which takes {' and '.join(limits)}")
        taken = [f"within a question {', '.join(self.inline.types) or 'no files'}"]
        taken += [f"by upload {', '.join(uploaded)}"] if uploaded else []
        hint = "" if file.media_type.startswith(("image/", "audio/", "video/", UNKNOWN)) else _HINT
        return UnsupportedTypeError(f"{who} does not take {what}; it takes {'; '.join(taken)}, and plain text{hint}")

    def _most_inline(self, media_type: str) -> int:
        limit = self.inline.limit(media_type)
        return self.most if limit is None else min(self.most, limit)

    def _points_to(self, media_type: str) -> bool:
        return self.flow is not None and self.flow.attaches(media_type, self.provider.wire)

    def _uploadable(self) -> list[str]:
        """The well-known types that can be uploaded: all of a kind as `video/*`."""
        known: list[str] = []
        for kind in ("image", "audio", "video"):
            types = list(dict.fromkeys(each.media_type for each in FORMATS if each.kind == kind))
            taken = [media_type for media_type in types if self._points_to(media_type)]
            known += [f"{kind}/*"] if taken == types else taken
        return known + [media_type for media_type in _DOCUMENTS if self._points_to(media_type)]


_HINT = ". Put a document into a bucket, and its text can be asked about"
