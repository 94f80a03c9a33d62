"""The OpenAPI document, and a server that keeps to it: schemathesis asks all that it describes, sense and nonsense."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import validator_for
from schemathesis.specs.openapi.definitions import OPENAPI_32
from tests.media.samples import picture
from tests.server.forms import form
from tests.servers.mediary import MediaryServer, clean_environment, media_urls

B = "/backend-api/v2"
DOCUMENT = "/openapi.json"
KEY = "a-key-of-twenty-letters"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
EXAMPLES = 20
"""Requests per operation that are made up at random, beside those that the limits of each field ask for."""
PATHS = {
    f"{B}/models": "get",
    f"{B}/models/{{provider}}": "get",
    f"{B}/providers": "get",
    f"{B}/version": "get",
    "/pa/providers": "get",
    f"{B}/conversation": "post",
    f"{B}/create": "get",
    f"{B}/quota/{{provider}}": "get",
    f"{B}/runs": "get",
    f"{B}/runs/{{run}}": "get",
    f"{B}/runs/{{run}}/events": "get",
    f"{B}/runs/{{run}}/cancel": "post",
    "/media/{name}": "get head",
    "/images/{name}": "get head",
    "/thumbnail/{name}": "get head",
    "/files/{bucket}/media/{name}": "get head",
    "/files/{bucket}/thumbnail/{name}": "get head",
    "/search/{tokens}": "get head",
    f"{B}/media": "get post",
    f"{B}/media/{{name}}": "get patch delete",
    f"{B}/files": "get",
    f"{B}/files/{{bucket}}": "get head post delete",
    f"{B}/files/{{bucket}}/stream": "get head",
    f"{B}/uploads": "get post",
    f"{B}/uploads/{{upload_id}}": "delete",
    f"{B}/upload_cookies": "get post",
    f"{B}/upload_cookies/{{domain}}": "delete",
    f"{B}/chat/{{share_id}}": "get post delete",
    "/share/{share_id}": "get",
    f"{B}/memory/{{user_id}}": "get post delete",
    f"{B}/memory/{{user_id}}/{{item_id}}": "delete",
    f"{B}/usage": "post",
    f"{B}/log": "post",
    f"{B}/usage/{{day}}": "get",
    f"{B}/stats": "get",
    f"{B}/synthesize/{{provider}}": "get head",
    f"{B}/synthesize/{{provider}}/voices": "get head",
    "/healthz": "get",
    "/readyz": "get",
    "/metrics": "get",
}
HEADERS = {
    (f"{B}/conversation", "post"): {"x-user"},
    (f"{B}/runs/{{run}}/events", "get"): {"last-event-id"},
    (f"{B}/models/{{provider}}", "get"): {"x-api-key", "x-api-base", "x-ignored"},
    ("/media/{name}", "get"): {"range", "if-range", "if-none-match", "if-modified-since"},
    (f"{B}/files/{{bucket}}", "post"): {"x-recognition-language"},
    (f"{B}/uploads/{{upload_id}}", "delete"): {"x-api-key"},
    (f"{B}/chat/{{share_id}}", "get"): {"if-none-match"},
    (f"{B}/chat/{{share_id}}", "post"): {"x-edit-token"},
    (f"{B}/chat/{{share_id}}", "delete"): {"x-edit-token"},
    (f"{B}/usage", "post"): {"x-user"},
    (f"{B}/media", "post"): {"x-user"},
}


@dataclass(slots=True)
class Things:
    """What a server holds: values that parameters may have, by place and name."""

    known: dict[str, list[str]]

    def configuration(self) -> str:
        """The settings of schemathesis: every other value of these parameters is one of those."""
        # Of 5xx, those that tell of others: a provider, a disk, an extra that is not installed.
        expected = ["2xx", "3xx", "4xx", 501, 502, 503, 504, 507]
        lines = ["max-stream-events = 200", f"checks.not_a_server_error.expected-statuses = {expected}"]
        for number, values in enumerate(self.known.values()):
            lines += [f"[dictionaries.known{number}]", f"values = {json.dumps(values)}"]
        lines.append("[parameters]")
        for number, parameter in enumerate(self.known):
            lines.append(f'"{parameter}" = {{ dictionary = "known{number}", probability = 0.5 }}')
        return "\n".join(lines)


def post(server: MediaryServer, path: str, body: bytes, kind: str = "application/json") -> Any:
    """What is answered with 200, decoded if it is JSON."""
    with server.open(path, raw=body, method="POST", headers={"content-type": kind}) as answer:
        said = answer.read()
        assert answer.status == 200, said
        return json.loads(said) if answer.headers["content-type"] == "application/json" else said


def fill(server: MediaryServer) -> Things:
    """Put something of each kind into a server."""
    [url] = media_urls(server.converse("A hill", provider="Local", model="picture", width=32, height=24))
    [run] = [event["conversation"] for event in server.converse("Hello") if event["type"] == "conversation"]
    post(server, f"{B}/files/harbour", *form({}, {"notes.txt": b"The harbour opens at six.", "hill.png": picture()}))
    # The first to refine waits until spaCy is loaded.
    server.get(f"{B}/files/harbour?delete_files=false&refine_chunks_with_spacy=true", timeout=120)
    post(server, f"{B}/upload_cookies", *form({"domain": "chat.example.org"}, {"c.json": b'{"a": "b"}'}, "file"))
    shared = post(server, f"{B}/chat/shared", b'{"title": "Tea", "items": [{"role": "user", "content": "Hello"}]}')
    post(server, f"{B}/memory/anna", b'{"items": [{"content": "I take my tea without milk"}]}')
    post(server, f"{B}/usage", b'{"total_tokens": 7}')
    [kept] = server.get_json(f"{B}/memory/anna")["results"]
    [media] = server.get_json(f"{B}/files/harbour/manifest")["media"]
    return Things(
        {
            "path.name": [url.removeprefix("/media/"), media["name"]],
            "path.bucket": ["harbour"],
            "path.share_id": ["shared"],
            "path.user_id": ["anna"],
            "path.item_id": [kept["id"]],
            "path.run": [run["Local"]["run_id"]],
            "path.domain": ["chat.example.org"],
            "path.provider": ["Local", "AnyProvider", "Custom"],
            "path.tokens": ["image", "hill+picture"],
            "header.x-edit-token": [shared["edit_token"]],
            "header.If-None-Match": ["*", '"0"'],
            "header.If-Match": ["*", '"0"'],
            "header.Range": ["bytes=0-9", "bytes=-5", "bytes=0-1,4-5", "bytes=99999999-"],
            "header.Last-Event-ID": ["0", "2"],
        }
    )


def check(server: MediaryServer, things: Things, folder: Path, *options: str) -> None:
    """Run schemathesis over the server's document; what it finds is the test's failure."""
    (folder / "schemathesis.toml").write_text(things.configuration(), encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "run", server.url + DOCUMENT, "--no-color", "--no-shrink"]
    command += [
        f"--checks={','.join(CHECKS)}",
        "--generation-deterministic",
        "--request-timeout=60",
        "--continue-on-failure",
        "--warnings=off",
    ]
    done = subprocess.run(
        [*command, *options],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]


def asked(server: MediaryServer, path: str, method: str, **headers: str) -> tuple[int, str | None]:
    """The status and the `WWW-Authenticate` of an answer."""
    with server.open(re.sub("{.*?}", "x", path), method=method.upper(), headers=headers) as answer:
        answer.read()
        return answer.status, answer.headers["www-authenticate"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    with MediaryServer(tmp_path_factory.mktemp("openapi") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    settings = f'[server]\nkey = "{KEY}"\n'
    with MediaryServer(tmp_path_factory.mktemp("locked") / "data", settings=settings) as running:
        yield running


def test_no_answer_is_outside_of_the_document(server: MediaryServer, tmp_path: Path) -> None:
    things = fill(server)

    phases, many = "--phases=examples,coverage,fuzzing,stateful", f"--max-examples={EXAMPLES}"
    check(server, things, tmp_path, phases, many, "--exclude-method=DELETE")
    check(server, things, tmp_path, phases, many)  # what is deleted now is missed by others

    assert "Traceback" not in server.output()


def test_the_document_has_every_path_of_the_contract(server: MediaryServer) -> None:
    paths = server.get_json(DOCUMENT)["paths"]

    wanted = {(path, method) for path, methods in PATHS.items() for method in methods.split()}
    assert wanted - {(path, method) for path, methods in paths.items() for method in methods} == set()


def test_the_document_is_valid(server: MediaryServer) -> None:
    document = server.get_json(DOCUMENT)

    assert document["openapi"] == "3.2.0"
    assert list(validator_for(OPENAPI_32).iter_errors(document)) == []


def test_parameters_are_named_and_typed(server: MediaryServer) -> None:
    paths = server.get_json(DOCUMENT)["paths"]

    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation["summary"], path
            parameters = operation.get("parameters", [])
            assert all(parameter["schema"] for parameter in parameters), path
            named = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
            assert named == set(re.findall("{(.*?)}", path)), path
            headers = {parameter["name"].lower() for parameter in parameters if parameter["in"] == "header"}
            assert HEADERS.get((path, method), set()) <= headers, path


def test_every_reference_leads_somewhere(server: MediaryServer) -> None:
    document = server.get_json(DOCUMENT)

    named = set(re.findall(r"#/components/schemas/([^\"]+)", json.dumps(document)))
    assert named <= set(document["components"]["schemas"])
    assert "nullable" not in json.dumps(document)  # of OpenAPI 3.0, ignored since


def test_the_document_says_that_a_key_is_needed(server: MediaryServer, locked: MediaryServer) -> None:
    document = locked.get_json(DOCUMENT, headers={"authorization": f"Bearer {KEY}"})

    assert document["security"] == [{"key": []}, {"password": []}]
    assert set(document["components"]["securitySchemes"]) == {"key", "password"}
    assert "security" not in server.get_json(DOCUMENT)


def test_no_path_answers_without_the_key(locked: MediaryServer) -> None:
    document = locked.get_json(DOCUMENT, headers={"authorization": f"Bearer {KEY}"})

    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = [asked(locked, path, method), asked(locked, path, method, authorization="Bearer wrong")]
            if operation.get("security") == []:
                assert answers == [(200, None)] * 2, path
            else:
                assert answers == [(401, 'Basic realm="Mediary", charset="UTF-8"')] * 2, path
                assert "401" in operation["responses"], path


def test_with_a_key_no_answer_is_outside_of_the_document(locked: MediaryServer, tmp_path: Path) -> None:
    header = f"--header=Authorization: Bearer {KEY}"
    check(locked, Things({}), tmp_path, header, "--phases=examples,fuzzing", "--max-examples=4")
