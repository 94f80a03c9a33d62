"""`mediary.toml` and MEDIARY_* into one frozen Settings; nothing else reads the environment."""

from mediary.settings.load import KNOWN_SERVICES, KnownService, load_settings, setting_names
from mediary.settings.sections import (
    PREFIX,
    BucketSettings,
    ConversationSettings,
    DatabaseSettings,
    LogSettings,
    MediaSettings,
    NetSettings,
    ProviderSettings,
    Section,
    ServerSettings,
    Settings,
    UploadPolicy,
    UploadSettings,
    exposed_without_key,
)
from mediary.settings.values import Secret, Url, plain_store

__all__ = [
    "KNOWN_SERVICES",
    "PREFIX",
    "BucketSettings",
    "ConversationSettings",
    "DatabaseSettings",
    "KnownService",
    "LogSettings",
    "MediaSettings",
    "NetSettings",
    "ProviderSettings",
    "Secret",
    "Section",
    "ServerSettings",
    "Settings",
    "UploadPolicy",
    "UploadSettings",
    "Url",
    "exposed_without_key",
    "load_settings",
    "plain_store",
    "setting_names",
]
