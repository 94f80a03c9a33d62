"""Alibaba's SDK as the client of the server that our sender is tried on: what it does is what the service takes."""

import asyncio
from collections.abc import AsyncIterator

import alibabacloud_oss_v2 as sdk
import pytest
from alibabacloud_oss_v2.credentials import StaticCredentialsProvider
from tests.servers.oss import MIN_PART, OSS, REGION, etag, oss
from tests.uploads.contents import file_of, nothing

from mediary.errors import UploadRefusedError
from mediary.net.client import HttpClient
from mediary.uploads.senders.aliyun_oss import AliyunOSS, place_of
from mediary.uploads.senders.oss4 import Keys, Request, Signer, now
from mediary.uploads.transport import Transport

BUCKET = "examplebucket"
KEY = "u1/猫 und ü+(1).mp4"
LARGE = bytes(range(256)) * (MIN_PART // 256)


@pytest.fixture
async def storage() -> AsyncIterator[OSS]:
    async with oss() as served:
        yield served


@pytest.fixture
def transport(http: HttpClient) -> Transport:
    return Transport("Q", http, "https://chat.example.com")


def sdk_client(storage: OSS) -> sdk.Client:
    lent = storage.lend()
    config = sdk.config.load_default()
    config.credentials_provider = StaticCredentialsProvider(
        lent.access_key_id, lent.access_key_secret, lent.security_token
    )
    config.region, config.endpoint, config.use_path_style = REGION, storage.url, True
    return sdk.Client(config)


def upload_by_sdk(client: sdk.Client) -> None:
    whole = sdk.PutObjectRequest(bucket=BUCKET, key=KEY, body=b"abc", content_type="image/png")
    assert client.put_object(whole).etag == etag(b"abc")
    assert client.get_object(sdk.GetObjectRequest(bucket=BUCKET, key=KEY)).body.content == b"abc"
    begun = client.initiate_multipart_upload(sdk.InitiateMultipartUploadRequest(bucket=BUCKET, key="large"))
    common = {"bucket": BUCKET, "key": "large", "upload_id": begun.upload_id}
    parts = []
    for number, body in enumerate((LARGE, b"more"), start=1):
        answer = client.upload_part(sdk.UploadPartRequest(part_number=number, body=body, **common))
        parts.append(sdk.UploadPart(part_number=number, etag=answer.etag))
    joined = sdk.CompleteMultipartUpload(parts=parts)
    client.complete_multipart_upload(sdk.CompleteMultipartUploadRequest(complete_multipart_upload=joined, **common))


async def test_the_sdk_uploads_to_the_same_server(storage, transport):
    client = sdk_client(storage)
    await asyncio.to_thread(upload_by_sdk, client)
    assert storage.objects[BUCKET, "large"].data == LARGE + b"more"
    lent = storage.lend(BUCKET, KEY)
    keys = Keys(lent.access_key_id, lent.access_key_secret, lent.security_token)
    place = place_of(f"{storage.url}/{BUCKET}/{KEY}")
    sender = AliyunOSS(url=place, bucket=BUCKET, key=KEY, region=REGION, keys=keys)
    await sender.send(transport, file_of(b"ours"), nothing)
    read = await asyncio.to_thread(client.get_object, sdk.GetObjectRequest(bucket=BUCKET, key=KEY))
    assert read.body.content == b"ours"


async def test_a_link_of_the_sdk_is_taken_and_an_altered_one_is_not(storage, transport):
    client = sdk_client(storage)
    request = sdk.PutObjectRequest(bucket=BUCKET, key=KEY, content_type="image/png")
    link = (await asyncio.to_thread(client.presign, request)).url
    headers = {"Content-Type": "image/png"}
    await transport.store("PUT", link, body=b"abc", headers=headers)
    assert storage.objects[BUCKET, KEY].data == b"abc"
    for bad in (link.replace("x-oss-expires=", "x-oss-expires=9"), link + "&more=1"):
        with pytest.raises(UploadRefusedError, match="SignatureDoesNotMatch"):
            await transport.store("PUT", bad, body=b"abd", headers=headers)
    with pytest.raises(UploadRefusedError, match="SignatureDoesNotMatch"):
        await transport.store("PUT", link, body=b"abd", headers={"Content-Type": "text/html"})
    assert storage.objects[BUCKET, KEY].data == b"abc"


async def test_our_links_are_taken_for_as_long_as_they_say(storage, transport):
    lent = storage.lend(BUCKET, KEY)
    signer = Signer(Keys(lent.access_key_id, lent.access_key_secret, lent.security_token), REGION, now())
    place = place_of(f"{storage.url}/{BUCKET}/{KEY}")
    put = Request("PUT", BUCKET, KEY, headers={"Content-Type": "image/png"})
    await transport.store("PUT", signer.presign(place, put, 60), body=b"abc", headers=put.headers)
    get = Request("GET", BUCKET, KEY)
    assert (await transport.store("GET", signer.presign(place, get, 60))).body == b"abc"
    with pytest.raises(UploadRefusedError, match="expired"):
        await transport.store("GET", signer.presign(place, get, 0))
    with pytest.raises(UploadRefusedError, match="SignatureDoesNotMatch"):
        await transport.store("PUT", signer.presign(place, get, 60), body=b"abd")
