"""Signatures of Alibaba's object storage: the vectors, and the official SDK's own opinion."""

import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from alibabacloud_oss_v2.signer import SignerV4
from alibabacloud_oss_v2.types import Credentials, HttpRequest, SigningContext
from hypothesis import given
from hypothesis import strategies as st

from mediary.uploads.senders.aliyun_oss import get_oss_headers
from mediary.uploads.senders.oss4 import Keys, Request, Signer

_VECTORS = json.loads((Path(__file__).parent / "vectors" / "oss4_vectors.json").read_text())["vectors"]
DATE = "20260102T030405Z"
KEYS = Keys("STS.NTexample", "exampleSecret0123", "CAIS+token/with=special==")


def named(*names: str):
    return pytest.mark.parametrize("vector", [v for v in _VECTORS if v["form"] in names], ids=lambda v: v["name"])


def of_vector(vector: dict) -> tuple[Signer, Request]:
    given = vector["inputs"]
    keys = Keys(given["access_key_id"], given["access_key_secret"], given["security_token"])
    signer = Signer(keys, given["region"], given["date"], given["product"])
    return signer, Request(given["method"], given["bucket"], given["key"], given["params"], given["headers"])


def test_there_are_vectors_of_both_forms():
    assert {vector["form"] for vector in _VECTORS} == {"header", "presigned_url"}


@named("header")
def test_headers_are_those_of_the_vector(vector):
    signer, request = of_vector(vector)
    expected = vector["expected"]
    headers = signer.headers(request, vector["inputs"]["additional_headers"])
    assert headers["authorization"] == expected["authorization"]
    whole = Request(request.method, request.bucket, request.key, request.params, headers)
    canonical = whole.canonical(whole.additional(vector["inputs"]["additional_headers"]))
    assert canonical == expected["canonical_request"]
    assert signer.string_to_sign(canonical) == expected["string_to_sign"]
    assert signer.signature(canonical) == expected["signature"]


@named("presigned_url")
def test_a_link_is_that_of_the_vector(vector):
    signer, request = of_vector(vector)
    given, expected = vector["inputs"], vector["expected"]
    url = f"{given['base_url']}/{quote(given['key'])}"
    link = signer.presign(url, request, given["expires"], given["additional_headers"])
    assert urlsplit(link)[:3] == urlsplit(expected["url"])[:3]
    assert sorted(parse_qsl(urlsplit(link).query)) == sorted(parse_qsl(urlsplit(expected["url"]).query))


def test_the_function_of_the_specification_gives_the_vector_of_its_name():
    given = next(vector for vector in _VECTORS if vector["name"] == "put_qwen_unicode")
    inputs = given["inputs"]
    sts = {"bucketname": inputs["bucket"], "file_path": inputs["key"]}
    sts |= {name: inputs[name] for name in ("access_key_id", "access_key_secret", "security_token")}
    agent = inputs["headers"]["x-oss-user-agent"]
    headers = get_oss_headers("PUT", inputs["date"], sts, "video/mp4", user_agent=agent)
    assert headers["authorization"] == given["expected"]["authorization"]
    assert set(headers) == {
        *("Content-Type", "x-oss-content-sha256", "x-oss-date", "x-oss-security-token", "x-oss-user-agent"),
        "authorization",
    }


@pytest.mark.parametrize(
    ("found", "region"),
    [
        ({"region": "oss-cn-hangzhou"}, "cn-hangzhou"),
        ({"region": "eu-central-1", "file_url": "https://b.oss-cn-hangzhou.aliyuncs.com/k"}, "eu-central-1"),
        ({"file_url": "https://b.oss-cn-hangzhou.aliyuncs.com/k?Expires=1"}, "cn-hangzhou"),
        ({"file_url": "https://b.oss-cn-hangzhou-internal.aliyuncs.com/k"}, "cn-hangzhou"),
        ({"file_url": "https://b.oss-accelerate.aliyuncs.com/k"}, "ap-southeast-1"),
        ({"file_url": "https://files.example.com/k"}, "ap-southeast-1"),
        ({}, "ap-southeast-1"),
    ],
)
def test_the_region_is_that_of_the_ticket_then_of_the_host_then_the_fallback(found, region):
    sts = {"access_key_id": "a", "access_key_secret": "s", "bucketname": "b", "file_path": "k", **found}
    assert f"/{region}/oss/" in get_oss_headers("PUT", DATE, sts, "image/png")["authorization"]


def test_no_secret_is_in_a_repr():
    signer = Signer(KEYS, "eu-central-1", DATE)
    assert "exampleSecret" not in repr(signer) and "CAIS" not in repr(signer)


# The SDK's signer, given the same request.

_text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=40)
_token = st.text("abcXYZ019-_", min_size=1, max_size=12)
_value = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
_headers = st.dictionaries(
    st.one_of(_token.map("x-oss-meta-{}".format), _token.map("X-Oss-{}".format), _token.map("abc-{}".format)),
    _value,
    max_size=5,
).filter(lambda headers: len({name.lower() for name in headers}) == len(headers))
_secret = st.text("abcXYZ019+/=", min_size=1, max_size=40)
_keys = st.builds(Keys, _token, _secret, st.none() | _secret)
_requests = st.builds(
    Request,
    st.sampled_from(["PUT", "POST", "GET", "DELETE"]),
    st.from_regex(r"[a-z0-9][a-z0-9-]{1,20}[a-z0-9]", fullmatch=True),
    _text,
    st.dictionaries(_text, st.just("") | _text, max_size=4),
    st.builds(lambda some, kind: {**some, "Content-Type": kind}, _headers, st.sampled_from(["image/png", "a/b; c=d"])),
)
_dates = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1))  # noqa: DTZ001 - hypothesis wants it so


def sdk_opinion(signer: Signer, request: Request, additional: set[str], seconds: int | None = None) -> HttpRequest:
    """The request as the SDK would send it."""
    url = f"https://host/{quote(request.key, safe='/')}"
    theirs = HttpRequest(request.method, url + ("?" + request.query if request.query else ""), dict(request.headers))
    time = datetime.strptime(signer.date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    keys = signer.keys
    context = SigningContext(
        signer.product,
        signer.region,
        request.bucket,
        request.key,
        theirs,
        Credentials(keys.access_key_id, keys.access_key_secret, keys.security_token),
        signing_time=time,
        additional_headers=additional,
    )
    if seconds is not None:
        context.auth_method_query = True
        context.expiration_time = datetime.fromtimestamp(time.timestamp() + seconds, UTC)
    SignerV4().sign(context)
    return theirs


@given(
    _keys, _requests, _dates, st.sampled_from(["cn-hangzhou", "ap-southeast-1"]), st.sets(_token.map("abc-{}".format))
)
def test_the_sdk_signs_headers_as_we_do(keys, request, date, region, further):
    signer = Signer(keys, region, date.strftime("%Y%m%dT%H%M%SZ"))
    additional = {*further, *(name for name in request.headers if name.startswith("abc-"))}
    theirs = sdk_opinion(signer, request, additional)
    ours = signer.headers(request, additional)
    assert ours["authorization"] == theirs.headers["Authorization"]
    assert {name.lower(): value for name, value in theirs.headers.items() if name != "Date"} == {
        name.lower(): value for name, value in ours.items()
    }


@given(_keys, _requests, _dates, st.integers(1, 604_800))
def test_the_sdk_signs_links_as_we_do(keys, request, date, seconds):
    signer = Signer(keys, "eu-central-1", date.strftime("%Y%m%dT%H%M%SZ"))
    theirs = urlsplit(sdk_opinion(signer, request, set(), seconds).url)
    ours = urlsplit(signer.presign(f"https://host/{quote(request.key, safe='/')}", request, seconds))
    assert ours[:3] == theirs[:3]
    assert sorted(ours.query.split("&")) == sorted(theirs.query.split("&"))
