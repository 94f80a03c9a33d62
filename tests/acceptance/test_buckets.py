"""Buckets of a whole server, killed again and again: what was answered is there, and nothing half is."""

import io
import json
import random
import re
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

import pytest
from tests.server.bucket_client import FILES, Answer, ask, read, upload
from tests.servers.mediary import MediaryServer

ROUNDS = 60
DOCUMENTS = Path(__file__).parents[1] / "documents"
READ = ("office/report.odt", "office/costs.xlsx", "pdf/letter.pdf", "web/pandoc.html", "office/report.docx")
"""Documents whose text has to be made."""
GONE = (URLError, ConnectionError, HTTPException)
"""What a client sees of a server that was killed."""

_part = re.compile(rb"<!-- File: ([^\n]+?) -->\n(.*?)\n<-- End -->\n\n", re.DOTALL)


class Client:
    """Works on one bucket until its server is gone, and remembers each answer."""

    def __init__(self, server: MediaryServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.number = 0
        self.texts: dict[str, bytes] = {}
        """Texts that were answered to be taken: names in the manifest, and what was sent."""
        self.sources: dict[str, bytes] = {}
        """The same of documents whose text has to be made."""
        self.deleted: set[str] = set()

    def upload_texts(self) -> None:
        self.number += 1
        sent = {
            f"note {self.number}-{each}.txt": f"Note {self.number}-{each}\n".encode() * each * 40
            for each in range(1, 9)
        }
        self._took(upload(self.server, "b", sent), self.texts, list(sent.values()))

    def upload_zip(self) -> None:
        self.number += 1
        packed = io.BytesIO()
        sent = {f"in/{each}.md": f"Member {self.number}-{each}\n".encode() * 20 for each in range(20)}
        with zipfile.ZipFile(packed, "w") as archive:
            for name, data in sent.items():
                archive.writestr(name, data)
        self._took(upload(self.server, "b", {f"{self.number}.zip": packed.getvalue()}), self.texts, list(sent.values()))

    def upload_documents(self) -> None:
        self.number += 1
        path = DOCUMENTS / random.choice(READ)
        data = path.read_bytes()
        self._took(upload(self.server, "b", {f"{self.number}-{path.name}": data}), self.sources, [data])

    def read(self) -> None:
        ask(self.server, f"{FILES}/b?delete_files=false")

    def refine(self) -> None:
        ask(self.server, f"{FILES}/small/stream?refine_chunks_with_spacy=true")

    def ask(self) -> None:
        messages = [{"role": "user", "content": [{"type": "text", "text": "Which note?"}, {"bucket_id": "b"}]}]
        self.server.converse(messages=messages, provider="Local", model="passages")

    def lose(self) -> None:
        """Take away or spoil what can be made again."""
        derived = ["bucket.db", "passages.db", "caches.json", "refined.json", "../plain.cache", "../plain_0001.cache"]
        path = self.folder / ".mediary" / random.choice(derived)
        with suppress(FileNotFoundError):
            if path.suffix == ".cache" or random.random() < 0.5:
                path.unlink()
            else:
                path.write_bytes(random.randbytes(5000))

    def delete(self) -> None:
        self.number += 1
        bucket = f"gone-{self.number}"
        upload(self.server, bucket, {f"{each}.txt": b"Gone" for each in range(30)})
        if ask(self.server, f"{FILES}/{bucket}", "DELETE").status == 200:
            self.deleted.add(bucket)

    def _took(self, answer: Answer, kept: dict[str, bytes], sent: list[bytes]) -> None:
        assert answer.status == 200, answer
        assert not answer.json["rejected"], answer
        kept.update(zip(answer.json["files"], sent, strict=True))


def until_gone(work: Callable[[], None], began: threading.Event, failures: list[BaseException]) -> None:
    """Do something until the server is gone."""
    try:
        while True:
            work()
            began.set()
    except GONE:
        pass
    except BaseException as error:  # noqa: BLE001 - the test tells of it
        failures.append(error)
    finally:
        began.set()


def assert_sound(client: Client) -> None:
    """Each line has its document, once; what was answered is there with its bytes."""
    names = (client.folder / "files.txt").read_text(encoding="utf-8").splitlines()
    assert len(names) == len(set(names))
    for name in names:
        assert (client.folder / name).exists() or (client.folder / "source" / name.removesuffix(".md")).exists(), name
    assert {*client.texts, *client.sources} <= set(names)
    for name, data in client.texts.items():
        assert (client.folder / name).read_bytes() == data, name
    for name, data in client.sources.items():
        assert (client.folder / "source" / name.removesuffix(".md")).read_bytes() == data, name


@pytest.mark.timeout(300)
def test_sixty_kills_leave_every_document_whole(tmp_path: Path) -> None:
    server = MediaryServer(tmp_path / "data", settings="[buckets]\nocr = false\n")
    root = server.data / "har_and_cookies" / "buckets"
    client = Client(server, root / "b")
    server.start()
    upload(server, "small", {"a.md": b"The mast is tall. The sail is white. The anchor holds.\n" * 300})
    upload(server, "b", {"first.txt": b"First"})
    upload(server, "right", {Path(name).name: (DOCUMENTS / name).read_bytes() for name in READ})
    right = {len((DOCUMENTS / name).read_bytes()): Path(name).name for name in READ}
    whole = dict(_part.findall(read(server, "right")))
    server.kill()
    works = [client.upload_texts, client.upload_zip, client.upload_documents, client.read, client.refine, client.ask]
    pause, failures = threading.Event(), list[BaseException]()
    for number in range(ROUNDS):
        server.start()
        began = threading.Event()
        chosen = [*random.sample([*works, client.delete], 3), client.upload_documents]
        workers = [threading.Thread(target=until_gone, args=(work, began, failures)) for work in {*chosen}]
        for worker in workers:
            worker.start()
        if number % 3 == 0:
            assert began.wait(60)
        pause.wait(random.uniform(0, 0.3))
        server.kill()
        for worker in workers:
            worker.join()
        if number % 5 == 4:
            client.lose()
        assert not failures, failures
        assert_sound(client)

    server.start()
    text = read(server, "b", "?delete_files=false")
    parts = _part.findall(text)

    assert b"".join(b"<!-- File: %b -->\n%b\n<-- End -->\n\n" % part for part in parts) == text
    assert [name.decode() for name, _ in parts] == (root / "b" / "files.txt").read_text().splitlines()
    for name, body in parts:
        if name.decode() in client.texts:
            assert body == client.texts[name.decode()]
        if data := client.sources.get(name.decode()):
            assert body == whole[f"{right[len(data)]}.md".encode()]
    client.refine()
    client.ask()
    upload(server, "small", {"b.md": b"More"})
    manifest = json.loads(ask(server, f"{FILES}/b/manifest?limit=1").body)
    assert manifest["documents"][0]["name"] == "first.txt.md"
    assert {each.name for each in root.iterdir()}.isdisjoint(client.deleted)
    assert not list(root.glob(".trash-*"))
    for bucket in root.iterdir():
        ask(server, f"{FILES}/{bucket.name}")
    server.stop()
    assert not leftovers(root)


def leftovers(root: Path) -> list[str]:
    """What lies in the hidden folders of buckets but for locks, indexes and marks."""
    known = re.compile(r"[^/]+/\.mediary/(locks/\w+|[\w-]+\.(db|db-journal|json|lock)|adopted)")
    files = (str(path.relative_to(root)) for path in root.glob("*/.mediary/**/*") if path.is_file())
    return [name for name in files if not known.fullmatch(name)]
