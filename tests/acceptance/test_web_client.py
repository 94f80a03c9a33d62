"""The existing web client of the API: every request that it sends, as it sends it, and what it reads of the answers.

`Client` sends what its pages send: the same paths, headers and bodies, in its words. What it does with the answers is
in the assertions: a field that it does not read may be anything.
"""

import asyncio
import base64
import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from tests.media.samples import picture, sound
from tests.server.forms import form
from tests.servers.aimock import KEY, running_aimock
from tests.servers.browser import chromium
from tests.servers.http import raw_server, response
from tests.servers.mediary import MediaryServer

API = "/backend-api/v2"
SEA = "The sea is wide, and it is blue — „wie der Himmel“. 🌊"


class Client:
    """The client's requests, from a page that the server's own address leads to."""

    def __init__(self, server: MediaryServer, user: str | None = "anna", address: str = "") -> None:
        self.server = server
        self.user = user
        self.address = address
        self.cookies: dict[str, str] = {}

    def fetch(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        data: tuple[bytes, str] | None = None,
    ) -> tuple[int, bytes, dict[str, str]]:
        """What `fetch` does in a page of this server: `body` as JSON, `data` a form with its content type."""
        sent = {"accept": "*/*", **(headers or {})}
        if method != "GET":
            sent["origin"] = self.server.url
        for place, token in self.cookies.items():
            if path.startswith(place):
                sent["cookie"] = token
        raw = None if data is None else data[0]
        if data is not None:
            sent["content-type"] = data[1]
        with self.server.open(path, body, method=method, headers=sent, raw=raw) as response:
            for cookie in response.headers.get_all("set-cookie") or ():
                pair, *about = (part.strip() for part in cookie.split(";"))
                place = next(part.split("=", 1)[1] for part in about if part.lower().startswith("path="))
                self.cookies[place] = pair
            return response.status, response.read(), {name.lower(): value for name, value in response.headers.items()}

    def api(self, resource: str, args: Any = None) -> Any:
        """Its general way to ask: JSON, with the user's label; the answer is read as JSON whatever its status."""
        headers = {"x-user": self.user} if self.user else {}
        if args is not None:
            headers["content-type"] = "application/json"
        status, content, _ = self.fetch(f"{API}/{resource}", "POST" if args is not None else "GET", headers, args)
        assert status == 200, content
        return json.loads(content)

    def models(self, provider: str, ignored: tuple[str, ...] = (), key: str | None = None, **more: str) -> Any:
        """The models of a provider; those that are switched off stand in a header, with blanks between them."""
        headers = {"x-ignored": " ".join(ignored), "content-type": "application/json", **more}
        if key:
            headers["x-api-key"] = key
        status, content, _ = self.fetch(f"{API}/models/{provider}", headers=headers)
        assert status == 200, content
        return json.loads(content)

    def ask(
        self,
        messages: list[dict[str, Any]],
        files: Mapping[str, bytes] | None = None,
        urls: tuple[str, ...] = (),
        **said: Any,
    ) -> list[dict[str, Any]]:
        """A question, with every field that the page fills; the events, read as the page reads them."""
        args = {
            "id": "8453950247120986211",
            "conversation_id": str(uuid4()),
            "conversation": None,
            "model": None,
            "web_search": False,
            "provider": "Local",
            "messages": messages,
            "action": "next",
            "download_media": True,
            "debug_mode": False,
            "api_key": None,
            "ignored": ["HuggingFace", "Azure"],
            "aspect_ratio": "16:9",
        } | said
        headers = {"accept": "text/event-stream", "x-user": self.user or ""}
        if files or urls:
            fields = [("media_url", url) for url in urls]
            status, content, got = self.fetch(
                f"{API}/conversation", "POST", headers, data=_form(fields, files or {}, json.dumps(args))
            )
        else:
            status, content, got = self.fetch(f"{API}/conversation", "POST", headers, args)
        assert status == 200, content
        assert got["content-type"].startswith("text/event-stream")
        return _events(content.decode())

    def upload(self, bucket: str, files: Mapping[str, bytes], **headers: str) -> Any:
        """Files into a bucket."""
        status, content, _ = self.fetch(f"{API}/files/{bucket}", "POST", headers, data=form({}, files))
        assert status == 200, content
        return json.loads(content)

    def listen(self, path: str) -> list[dict[str, Any]]:
        """What an EventSource hands to `onmessage`: events without a name."""
        status, content, got = self.fetch(path, headers={"accept": "text/event-stream", "cache-control": "no-cache"})
        assert (status, got["content-type"].split(";")[0]) == (200, "text/event-stream"), content
        blocks = content.decode().split("\n\n")
        assert not any(line.startswith("event:") for block in blocks for line in block.split("\n"))
        return [json.loads(block.removeprefix("data: ")) for block in blocks if block.startswith("data: ")]


def _form(fields: list[tuple[str, str]], files: Mapping[str, bytes], question: str) -> tuple[bytes, str]:
    """A form as the page fills it: files and URLs first, the question last."""
    body, kind = form({}, files)
    boundary = kind.partition("boundary=")[2]
    parts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in [*fields, ("json", question)]
    )
    end = f"--{boundary}--\r\n".encode()
    return body.removesuffix(end) + parts.encode() + end, kind


def _events(stream: str) -> list[dict[str, Any]]:
    """The events of a stream, as the page takes it apart: an empty line ends one, a line that is neither is tried."""
    events, data = [], None
    for line in stream.split("\n")[:-1]:
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
        elif line == "" and data is not None:
            events.append(json.loads(data))
            data = None
        else:
            assert line == "" or line.startswith(("event: ", ":"))
    assert data is None
    return events


def text_of(events: list[dict[str, Any]]) -> str:
    """The answer, as the page puts it together."""
    return "".join(event["content"] for event in events if event["type"] == "content")


def user(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    """Local, and aimock as OpenAI and as a second one whose key the client brings."""
    with running_aimock() as aimock:
        table = f'wire = "openai"\nbase_url = "{aimock.base_url}"\ndefault_model = "gpt-4o"\n'
        settings = (
            f'[providers.OpenAI]\n{table}api_key = "{KEY}"\n[providers.Groq]\n{table}\n'
            f'[providers.Local]\nwire = "local"\n[net]\nallow = ["127.0.0.0/8"]\n'
        )
        with MediaryServer(tmp_path_factory.mktemp("client") / "data", settings=settings) as running:
            yield running


@pytest.fixture
def client(server: MediaryServer) -> Client:
    return Client(server)


def test_it_finds_the_backend_and_shows_its_version(client: Client) -> None:
    status, _, _ = client.fetch(f"{API}/version?cache=true")
    assert status == 200
    versions = client.api("version")
    assert isinstance(versions["version"], str)
    assert isinstance(versions["latest_version"], str)


def test_it_lists_providers(client: Client) -> None:
    providers = client.api("providers")
    assert {provider["name"] for provider in providers} >= {"OpenAI", "Groq", "Local"}
    for provider in providers:
        assert provider["label"]
        assert not provider["hf_space"]
        assert {"parent", "login_url", "auth", "nodriver", "live", "active_by_default"} <= set(provider)
        assert {"image", "vision", "audio", "video"} <= set(provider)


def test_it_lists_all_models_for_its_search(client: Client) -> None:
    listed = client.api("models")
    assert "gpt-4o" in listed["OpenAI"]
    assert all(isinstance(model, str) for models in listed.values() for model in models)


def test_it_lists_the_models_of_a_provider_with_the_users_key(client: Client) -> None:
    for headers in ({"x-api-key": KEY}, {"x_api_key": KEY}):
        models = client.models("Groq", **headers)
        assert "gpt-4o" in [model["model"] for model in models]
    [default] = [model for model in models if model["default"]]
    assert default["model"] == default["id"] == "gpt-4o"
    for model in models:
        assert model["label"]
        assert isinstance(model["count"], int)
        assert isinstance(model["tags"], list)
        assert {"image", "vision", "audio", "video"} <= set(model)


def test_it_leaves_out_providers_that_are_switched_off(client: Client) -> None:
    def ids(*ignored: str) -> set[str]:
        return {model["model"] for model in client.models("AnyProvider", ignored)}

    assert ids() > ids("Local", "Groq")
    assert {"picture", "speech"} <= ids()
    assert not {"picture", "speech"} & ids("Groq", "Local")


def test_what_there_is_not_is_an_error_that_it_passes_over(client: Client) -> None:
    for path in ("/quota/Local", "/public-key"):
        status, content, _ = client.fetch(API + path, headers={"authorization": "Bearer sk-of-a-provider"})
        assert status == 404
        assert json.loads(content)["error"]["message"]
    assert client.fetch(f"{API}/public-key", "POST")[0] in (404, 405)
    status, content, _ = client.fetch("/chat/error-popup.html")
    assert (status, "error" in json.loads(content)) == (404, True)


def test_providers_that_users_wrote_are_none(client: Client) -> None:
    assert client.fetch("/pa/providers", headers={"accept": "application/json"})[1] == b"[]"


def test_it_asks_and_reads_the_answer(client: Client) -> None:
    events = client.ask(user("Tell me of the sea"), provider="OpenAI", model="gpt-4o")
    by_type = {event["type"]: event for event in events}
    provider = by_type["provider"]["provider"]
    assert (provider["name"], provider["model"]) == ("OpenAI", "gpt-4o")
    assert {"label", "url"} <= set(provider)
    assert isinstance(by_type["parameters"]["parameters"], dict)
    assert text_of(events) == SEA
    assert by_type["usage"]["usage"]["prompt_tokens"] > 0
    assert by_type["finish"]["finish"] == {"reason": "stop"}
    assert KEY not in json.dumps(events)


def test_the_form_that_it_makes_of_the_parameters_can_be_sent_back(client: Client) -> None:
    events = client.ask(user("Tell me of the sea"), provider="OpenAI", model="gpt-4o", temperature=0.5, max_tokens=99)
    [parameters] = [event["parameters"] for event in events if event["type"] == "parameters"]
    again = client.ask(user("Tell me of the sea"), **{"provider": "OpenAI", **parameters, "timeout": 0, "stream": True})
    assert text_of(again) == SEA


def test_it_goes_on_from_a_conversation(client: Client) -> None:
    first = client.ask(user("Tell me of the sea"), provider="OpenAI", model="gpt-4o")
    kept: dict[str, Any] = {}
    for event in first:
        kept |= event["conversation"] if event["type"] == "conversation" else {}
    messages = [*user("Tell me of the sea"), {"role": "assistant", "content": SEA}, *user("Tell me of the sea")]
    for state, provider in ((kept.get("OpenAI"), "OpenAI"), (kept, "AnyProvider")):
        events = client.ask(messages, provider=provider, model="gpt-4o", conversation=state)
        assert text_of(events) == SEA


@pytest.mark.parametrize("action", ["next", "variant", None])
def test_what_it_calls_the_question_does_not_matter(client: Client, action: str | None) -> None:
    assert text_of(client.ask(user("Hello"), action=action))


def test_an_answer_that_stopped_goes_on(client: Client) -> None:
    messages = [*user("Hello"), {"role": "assistant", "content": "Once upon a"}]
    assert text_of(client.ask(messages, action="continue"))


def test_for_any_provider_it_sends_a_key_for_each(client: Client) -> None:
    keys = {"PollinationsAI": None, "OpenRouter": None, "Groq": KEY, "OpenAI": None}
    events = client.ask(user("Tell me of the sea"), provider="AnyProvider", model="gpt-4o", api_key=keys)
    assert text_of(events) == SEA


def test_the_users_key_goes_to_the_provider(client: Client) -> None:
    assert text_of(client.ask(user("Tell me of the sea"), provider="Groq", model="gpt-4o", api_key=KEY)) == SEA


def test_a_provider_that_the_user_names_by_its_address_is_asked(client: Client, server: MediaryServer) -> None:
    settings = (server.data / "mediary.toml").read_text(encoding="utf-8")
    base = re.search(r'base_url = "(.+?)"', settings)
    assert base
    said = {"provider": "Custom", "model": "gpt-4o", "api_base": base[1], "api_key": KEY}
    assert text_of(client.ask(user("Tell me of the sea"), **said)) == SEA
    listed = client.models("Custom", key=KEY, **{"x-api-base": base[1]})
    assert "gpt-4o" in [model["model"] for model in listed]


def test_it_shows_a_picture_that_was_made(client: Client) -> None:
    events = client.ask(user("a harbour"), model="picture")
    [shown] = [event for event in events if event.get("urls")]
    assert shown["alt"]
    [url] = set(re.findall(r"\]\((/media/[^)]+)\)", shown["content"]))
    for path in (url, url.replace("/media/", "/thumbnail/"), url.replace("/media/", "/images/")):
        status, content, got = client.fetch(path, headers={"accept": "image/webp,image/png,*/*"})
        assert (status, got["content-type"].split("/")[0], bool(content)) == (200, "image", True)


def test_it_plays_a_sound_that_was_made(client: Client) -> None:
    found = re.search(r'<audio controls src="(/media/[^"]+)"></audio>', text_of(client.ask(user("Hi"), model="speech")))
    assert found
    assert client.fetch(found[1], headers={"range": "bytes=0-"})[0] == 206


def test_a_picture_goes_along_as_a_file_or_a_url(client: Client, server: MediaryServer) -> None:
    bucket = str(uuid4())
    [part] = client.upload(bucket, {"harbour.png": picture()})["media"]
    path = f"/files/{bucket}/media/{part['name']}"
    assert text_of(client.ask(user("What is it?"), {"blob.png": picture()}))
    assert text_of(client.ask(user("What is it?"), urls=(path,)))
    assert text_of(client.ask(user("What is it?"), urls=(f"{server.url}{path}",)))


def test_a_recording_goes_along_within_the_question(client: Client) -> None:
    data = base64.b64encode(sound("wav", "pcm_s16le")).decode()
    content = [
        {"type": "text", "text": "What do I say?"},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
    ]
    assert text_of(client.ask(user(content)))


def test_files_are_uploaded_loaded_and_asked_about(client: Client, server: MediaryServer) -> None:
    bucket = str(uuid4())
    result = client.upload(bucket, {"notes.md": b"# Harbour\n\nThe boats are blue.\n", "boat.png": picture()})
    assert (len(result["files"]), len(result["media"])) == (1, 1)
    part = result["media"][0]
    assert (part["width"], part["height"]) > (0, 0)

    loaded = client.listen(f"{API}/files/{bucket}/stream")
    assert loaded[-1]["action"] == "done"
    assert loaded[-1]["size"] > 0
    assert any(event["action"] == "load" and event["size"] for event in loaded)
    assert client.listen(f"{API}/files/{bucket}?refine_chunks_with_spacy=true")[-1]["action"] == "done"

    document = {"bucket_id": bucket, "url": f"{API}/files/{bucket}"}
    shown = {"bucket_id": bucket, "url": f"{server.url}/files/{bucket}/media/{part['name']}", **part}
    assert "blue" in text_of(client.ask([*user([document]), *user("What colour are the boats?")]))
    assert text_of(client.ask([*user([shown]), *user("What is it?")]))
    for place in ("media", "thumbnail"):
        assert client.fetch(f"/files/{bucket}/{place}/{part['name']}")[0] == 200
    status, content, _ = client.fetch(f"{API}/files/{bucket}", "DELETE")
    assert (status, json.loads(content)) == (200, {"message": "Bucket deleted successfully"})


async def test_a_link_alone_is_a_document(client: Client) -> None:
    bucket = str(uuid4())
    async with raw_server() as site:
        site.answers["/harbour.txt"] = response(b"The lighthouse is red.", "Content-Type: text/plain")
        wanted = json.dumps([{"url": f"{site.url}/harbour.txt"}]).encode()
        await asyncio.to_thread(client.upload, bucket, {"downloads.json": wanted})
        events = await asyncio.to_thread(client.listen, f"{API}/files/{bucket}/stream")
    assert any(event.get("action") == "download" and event["count"] for event in events)
    assert events[-1]["action"] == "done"
    assert events[-1]["size"] > 0


def test_a_recording_is_uploaded_with_its_language(client: Client) -> None:
    result = client.upload(str(uuid4()), {"blob": sound("wav", "pcm_s16le")}, **{"x-recognition-language": "en-US"})
    assert len(result["media"]) == 1
    assert result["media"][0]["name"].endswith(".wav")


REQUEST = {
    "method": "GET",
    "url": "http://127.0.0.1/",
    "headers": [{"name": "Cookie", "value": "session=x"}],
    "cookies": [{"name": "session", "value": "x"}],
}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cookies.json", [{"domain": ".example.com", "name": "session", "value": "x"}]),
        ("auth_OpenAI.har", {"log": {"entries": [{"request": REQUEST}]}}),
    ],
)
def test_cookies_are_handed_in(client: Client, name: str, content: Any) -> None:
    sent = form({}, {name: json.dumps(content).encode()}, field="file")
    assert client.fetch(f"{API}/upload_cookies", "POST", data=sent)[0] == 200


def test_a_chat_is_shared_followed_and_shared_no_more(client: Client, server: MediaryServer) -> None:
    share = str(uuid4())
    chat = {
        "id": share,
        "share": str(uuid4()),
        "title": "A harbour",
        "added": 1763596700000,
        "updated": 1763596800000,
        "system": "",
        "items": [*user("Hello"), {"role": "assistant", "content": "Hi", "provider": {"name": "Local", "model": "x"}}],
        "data": {"Local": {"a": 1}},
    }
    json_type = {"content-type": "application/json"}
    status, content, _ = client.fetch(f"{API}/chat/{share}", "POST", json_type, chat)
    assert (status, json.loads(content)["share_id"]) == (200, share)

    reader = Client(server, user=None)
    accept = {"accept": "application/json"}
    status, content, _ = reader.fetch(f"{API}/chat/{share}", headers=accept)
    assert (status, json.loads(content)) == (200, chat)

    follow = f"{API}/chat/{share}?now=1763596805"
    assert reader.fetch(follow, headers={**accept, "if-none-match": str(chat["updated"])})[0] == 304
    longer = {**chat, "updated": 1763596810123, "items": [*chat["items"], *user("More")]}
    assert client.fetch(f"{API}/chat/{share}", "POST", json_type, longer)[0] == 200
    status, content, _ = reader.fetch(follow, headers={**accept, "if-none-match": str(chat["updated"])})
    assert (status, json.loads(content)["updated"]) == (200, longer["updated"])

    assert reader.fetch(f"{API}/chat/{share}", "POST", json_type, {**longer, "updated": 1763596820000})[0] == 403
    assert reader.fetch(f"{API}/files/{share}", "DELETE")[0] == 403
    assert client.fetch(f"{API}/files/{share}", "DELETE")[0] == 200
    assert reader.fetch(f"{API}/chat/{share}", headers=accept)[0] == 404


def test_usage_and_errors_are_reported(client: Client) -> None:
    said = {"user": "anna", "model": "gpt-4o", "provider": "OpenAI", "prompt_tokens": 3, "completion_tokens": 4}
    assert client.api("usage", {**said, "total_tokens": 7}) == {}
    provider = {"name": "OpenAI", "label": "OpenAI", "url": None, "model": "gpt-4o"}
    assert client.api("log", {"type": "error", "error": "RateLimitError", "message": "x", "provider": provider}) == {}
    day = time.strftime("%Y-%m-%d", time.gmtime())
    status, content, _ = client.fetch(f"{API}/usage/{day}")
    assert status == 200
    assert all(isinstance(json.loads(line), dict) for line in content.decode().splitlines())


def test_whole_conversations_are_handed_to_the_memory(client: Client) -> None:
    conversation = {
        "id": str(uuid4()),
        "title": "Boats",
        "added": 1,
        "updated": 2,
        "items": [
            {"role": "user", "content": "My boat is called Wanderer.", "provider": None},
            {"role": "user", "content": [{"bucket_id": "b", "url": "/x", "name": "a.png"}], "provider": None},
            {"role": "assistant", "content": "A fine name.", "provider": {"name": "OpenAI"}, "usage": {}},
        ],
    }
    headers = {"content-type": "application/json", "x_api_key": "null"}
    status, content, _ = client.fetch(f"{API}/memory/anna", "POST", headers, conversation)
    assert (status, json.loads(content)["count"]) == (200, 2), content
    status, content, _ = client.fetch(f"{API}/memory/anna?search=Wanderer", headers={"x_api_key": "null"})
    assert status == 200
    assert "Wanderer" in json.loads(content)["results"][0]["memory"]


@pytest.mark.parametrize("provider", ["Gemini", "Local"])
def test_an_answer_is_read_out(client: Client, provider: str) -> None:
    query = urlencode({"text": "Hello"})
    status, content, got = client.fetch(f"{API}/synthesize/{provider}?{query}", headers={"range": "bytes=0-"})
    assert (status in (200, 206), got["content-type"].split("/")[0], bool(content)) == (True, "audio", True)


def test_a_question_is_a_url(client: Client) -> None:
    query = urlencode({"prompt": "Tell me of the sea", "provider": "OpenAI", "model": "gpt-4o"})
    status, content, got = client.fetch(f"{API}/create?{query}")
    assert (status, content.decode(), got["content-type"].split(";")[0]) == (200, SEA, "text/plain")


def test_media_are_found_by_their_words(client: Client) -> None:
    client.ask(user("a lighthouse"), model="picture")
    status, _, got = client.fetch("/search/image+lighthouse?min=2&random=true")
    assert status == 302
    assert client.fetch(got["location"])[0] == 200


PAGE = response(b"<!doctype html><title>The client, hosted elsewhere</title>", "Content-Type: text/html")
ACROSS = """
async backend => {
    const told = {};
    const version = await fetch(`${backend}/backend-api/v2/version?cache=true`);
    told.version = (await version.json()).version;
    const models = await fetch(`${backend}/backend-api/v2/models/Local`, {
        headers: {'x-ignored': 'A B', 'x_api_key': 'k', 'content-type': 'application/json', 'x-user': 'anna'}});
    told.models = (await models.json()).length;
    const asked = await fetch(`${backend}/backend-api/v2/conversation`, {
        method: 'POST', headers: {'accept': 'text/event-stream', 'content-type': 'application/json', 'x-user': 'anna'},
        body: JSON.stringify({provider: 'Local', messages: [{role: 'user', content: 'Hello'}]})});
    told.answer = await asked.text();
    const form = new FormData();
    form.append('files', new File(['The boats are blue.'], 'notes.txt', {type: 'text/plain'}));
    const bucket = crypto.randomUUID();
    const uploaded = await fetch(`${backend}/backend-api/v2/files/${bucket}`, {method: 'POST', body: form});
    told.files = (await uploaded.json()).files;
    told.size = await new Promise((done, failed) => {
        const source = new EventSource(`${backend}/backend-api/v2/files/${bucket}/stream`);
        source.onmessage = event => {
            const data = JSON.parse(event.data);
            if (data.action == 'done') { source.close(); done(data.size); }
        };
        source.onerror = () => { source.close(); failed(new Error('no events')); };
    });
    const share = crypto.randomUUID();
    const shared = await fetch(`${backend}/backend-api/v2/chat/${share}`, {
        method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({id: share, updated: 5})});
    told.shared = (await shared.json()).share_id == share;
    const known = await fetch(`${backend}/backend-api/v2/chat/${share}?now=1`, {headers: {'if-none-match': 5}});
    told.known = known.status;
    told.deleted = (await fetch(`${backend}/backend-api/v2/files/${bucket}`, {method: 'DELETE'})).status;
    return told;
}
"""
TRIED = """
async backend => {
    const told = [];
    for (const [path, options] of [['version', {}], ['models/Local', {headers: {'x-user': 'anna'}}],
                                   ['chat/abc', {method: 'POST', body: '{}'}]])
        told.push(await fetch(`${backend}/backend-api/v2/${path}`, options).then(r => r.status, () => 'kept out'));
    return told;
}
"""


async def test_the_client_works_from_another_site_that_is_allowed(tmp_path: Path) -> None:
    async with raw_server() as site, raw_server() as other, chromium() as browser:
        site.answers["/"] = other.answers["/"] = PAGE
        settings = f'[server]\nallow_origins = ["{site.url}"]\n'
        server = await asyncio.to_thread(MediaryServer(tmp_path / "data", settings=settings).start)
        try:
            tab = await browser.new_page()
            await tab.goto(site.url)
            told = await tab.evaluate(ACROSS, server.url)
            await tab.goto(other.url)
            tried = await tab.evaluate(TRIED, server.url)
        finally:
            await asyncio.to_thread(server.stop)
    assert told["version"]
    assert told["models"]
    assert _events(told["answer"])[-1]["type"] == "finish"
    assert told["files"]
    assert (told["size"] > 0, told["shared"], told["known"], told["deleted"]) == (True, True, 304, 200)
    assert tried == ["kept out"] * 3
