"""Signed links to blobs in Azurite, and what lies behind them, by Microsoft's own SDK."""

from datetime import UTC, datetime, timedelta
from typing import Any

from azure.storage.blob import BlobClient, BlobSasPermissions, generate_blob_sas
from tests.servers.azurite import ACCOUNT, KEY, AzureContainer

VERSION = "2024-11-04"  # Azurite knows none that is newer


def link(
    container: AzureContainer, blob: str, permissions: str = "cw", *, begins: float = -60, ends: float = 600
) -> str:
    """A link to a blob, good from and until so many seconds from now."""
    now = datetime.now(UTC)
    query = generate_blob_sas(
        ACCOUNT,
        container.name,
        blob,
        account_key=KEY,
        permission=BlobSasPermissions.from_string(permissions),
        start=now + timedelta(seconds=begins),
        expiry=now + timedelta(seconds=ends),
    )
    return f"{client(container, blob).url}?{query}"


def client(container: AzureContainer, blob: str) -> BlobClient:
    """The SDK's client, with the account's own key: it may do anything."""
    return BlobClient(
        container.options["endpoint"], container.name, blob, credential=KEY_CREDENTIAL, api_version=VERSION
    )


KEY_CREDENTIAL: Any = {"account_name": ACCOUNT, "account_key": KEY}
