"""Mediary: a self-hosted backend between people and AI providers that keeps the media."""

from importlib.metadata import version

from mediary.errors import MediaryError
from mediary.formats import get_media_extension, is_accepted_format, is_allowed_extension
from mediary.media.intake import copy_media, save_response_media
from mediary.media.library import Library, ensure_media_dir, get_media_dir
from mediary.media.responses import AudioResponse, ImageResponse, MediaResponse, VideoResponse
from mediary.names import get_filename, get_source_url, secure_filename

__version__ = version("mediary")

__all__ = [
    "AudioResponse",
    "ImageResponse",
    "Library",
    "MediaResponse",
    "MediaryError",
    "VideoResponse",
    "__version__",
    "copy_media",
    "ensure_media_dir",
    "get_filename",
    "get_media_dir",
    "get_media_extension",
    "get_source_url",
    "is_accepted_format",
    "is_allowed_extension",
    "save_response_media",
    "secure_filename",
]
