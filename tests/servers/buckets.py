"""Object stores of all kinds behind one face: a bucket to store in, and what lies in it, past everything tested."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

import boto3
from botocore.config import Config


class Bucket(ABC):
    """A bucket of its own: `url` and `options` are the settings that lead to it, and to a prefix in it."""

    prefix = "some/prefix/"
    url: str
    options: Mapping[str, str]

    @abstractmethod
    def list_keys(self) -> list[str]:
        """The keys of all objects."""

    @abstractmethod
    def unfinished(self) -> list[str]:
        """The keys of uploads that were begun and neither finished nor given up."""

    @abstractmethod
    def media_type(self, key: str) -> str:
        """The type that the store says an object has."""


class S3Bucket(Bucket):
    """A bucket of a server that speaks S3."""

    def __init__(self, endpoint: str, access_key: str, secret: str) -> None:
        self.name = f"bucket-{token_hex(8)}"
        self.url = f"s3://{self.name}/{self.prefix}"
        self.options = {
            "endpoint": endpoint,
            "access_key_id": access_key,
            "secret_access_key": secret,
            "region": "us-east-1",
        }
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )
        self._client.create_bucket(Bucket=self.name)

    def list_keys(self) -> list[str]:
        return [found["Key"] for found in self._client.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def unfinished(self) -> list[str]:
        return [found["Key"] for found in self._client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]

    def media_type(self, key: str) -> str:
        return str(self._client.head_object(Bucket=self.name, Key=key)["ContentType"])


class Folder(Bucket):
    """A folder of objects."""

    prefix = ""

    def __init__(self, folder: Path) -> None:
        self.url = f"file://{folder}"
        self.options = {}
        self._folder = folder

    def list_keys(self) -> list[str]:
        return [str(path.relative_to(self._folder)) for path in self._folder.rglob("*") if path.is_file()]

    def unfinished(self) -> list[str]:
        return [key for key in self.list_keys() if "#" in key]

    def media_type(self, key: str) -> str:
        return ""
