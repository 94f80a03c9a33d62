"""`/backend-api/v2/files/<bucket>`: uploads and readings go to bare endpoints, the rest to the router."""

from functools import partial
from urllib.parse import unquote

from mediary.buckets.bucket import bucket_id
from mediary.buckets.room import BucketRoom
from mediary.errors import MethodNotAllowedError
from mediary.server.long_answers import Running
from mediary.server.protocol import Endpoint, Scope
from mediary.server.routes.bucket_text import BucketText, wants_events
from mediary.server.routes.bucket_upload import BucketUpload

FILES = "/backend-api/v2/files/"
METHODS = ("DELETE", "GET", "HEAD", "POST")
_DEPTH = FILES.count("/")


class BucketPaths:
    """Finds the endpoint of a request, to upload into a bucket or to read it."""

    def __init__(self, room: BucketRoom, running: Running) -> None:
        self._upload = BucketUpload(room, running)
        self._text = BucketText(room, running)

    def find(self, scope: Scope) -> Endpoint | None:
        """The endpoint, None if it is in the router; BadRequestError for what can be no bucket."""
        method: str = scope["method"]
        bucket, _, rest = scope["raw_path"].split(b"/", _DEPTH)[_DEPTH].partition(b"/")
        bucket = bucket_id(unquote(bucket))
        match method, rest:
            case "POST", b"":
                return partial(self._upload, bucket_id=bucket)
            case "GET" | "HEAD", b"" | b"stream":
                as_events = bool(rest) or wants_events(scope)
                return partial(self._text, bucket_id=bucket, as_events=as_events)
            case "DELETE", _:
                return None
            case _, b"":
                raise MethodNotAllowedError(method, METHODS)
            case _, b"stream":
                raise MethodNotAllowedError(method, ("GET", "HEAD"))
        return None
