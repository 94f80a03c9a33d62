"""The full-text index of a bucket: what a question finds in it, and what becomes of it when it is lost or damaged."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediary.buckets.bucket import Bucket, Buckets
from mediary.buckets.passages.ask import Passages
from mediary.buckets.passages.index import PassageIndex
from mediary.buckets.reading.text import Texts
from mediary.errors import NotFoundError
from mediary.extractors.registry import Extractors
from mediary.passages.cut import LONGEST
from mediary.passages.passage import Passage
from mediary.sandbox.pool import Sandbox
from mediary.settings import BucketSettings

LEASE = """# Lease agreement

Between Anna Muster (landlord) and Ben Beispiel (tenant).

## 2. Rent

The monthly rent is 1,240 euros, due on the third working day of each month.

## 7. Termination

### 7.1 Notice period

Either party may end the contract with three months to the end of a quarter.
"""
LANGUAGES = {
    "miet.md": "Die Kündigungsfrist beträgt drei Monate. Haustiere sind in der Straße verboten.",
    "bail.md": "Le préavis est de trois mois. Le loyer est payé à l'avance.",
    "zh.md": "本合同的通知期为三个月。房东是王先生,住在北京市朝阳区。",
    "ja.md": "解約の予告期間は三か月です。家賃は毎月八万円です。",
    "th.md": "ค่าเช่ารายเดือนคือหนึ่งหมื่นบาท ระยะเวลาแจ้งล่วงหน้าคือสามเดือน",
    "ru.md": "Срок уведомления составляет три месяца. Арендная плата — тысяча евро.",
    "hi.md": "किराया हर महीने दस हजार रुपये है।",
    "ar.md": "مدة الإشعار ثلاثة أشهر. الإيجار الشهري ألف يورو.",
    "ko.md": "통지 기간은 삼 개월입니다. 월세는 백만 원입니다.",
}


def paragraphs(number: int, word: str = "filler") -> str:
    """A long text about nothing."""
    return "\n\n".join(f"{word} {at} " + "of the house and its rooms " * 30 for at in range(number))


def fill(folder: Path, **documents: str) -> Path:
    """A bucket as another system leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "files.txt").open("a") as manifest:
        for name, text in documents.items():
            (folder / name).write_text(text)
            manifest.write(f"{name}\n")
    return folder


@pytest.fixture
async def passages() -> AsyncIterator[Passages]:
    sandbox = Sandbox()
    texts = Texts(Extractors(sandbox), BucketSettings())
    yield Passages(texts)
    await texts.close()
    await sandbox.close()


@pytest.fixture
async def buckets(tmp_path: Path) -> AsyncIterator[Buckets]:
    opened = Buckets(tmp_path / "buckets")
    yield opened
    await opened.close()


Make = Callable[..., "asyncio.Future[Bucket]"]


@pytest.fixture
def make(buckets: Buckets) -> Callable[..., object]:
    async def bucket(**documents: str) -> Bucket:
        fill(buckets.root / "b", **documents)
        return await buckets.get("b")

    return bucket


def names(found: list[Passage]) -> list[str]:
    return [passage.document for passage in found]


async def test_the_answer_stands_first_with_its_headings(make, passages: Passages):
    lease = LEASE.replace("\n## 7.", f"{paragraphs(50)}\n\n## 7.") + paragraphs(50)
    bucket = await make(**{"lease.md": lease, "other.md": paragraphs(50)})

    [best, *_] = await passages.find(bucket, "How long is the notice period?", 4000)

    assert best.document == "lease.md"
    assert "three months to the end of a quarter" in best.text
    assert best.text.startswith("Lease agreement\n\n## 7. Termination")


async def test_results_have_at_most_max_chars_and_come_best_first(make, passages: Passages):
    bucket = await make(**{"a.md": "\n\n".join(f"rent {'rent ' * (at % 7)} {at} " + "x " * 400 for at in range(40))})

    found = await passages.find(bucket, "rent", 5000)

    assert len(found) >= 3
    assert sum(len(passage.text) for passage in found) <= 5000
    assert found == sorted(found, key=lambda passage: -passage.score)


@pytest.mark.parametrize(
    ("question", "document"),
    [
        ("How long do tenants have?", "lease.md"),  # tenant
        ("termination", "lease.md"),
        ("Welche Kündigungsfristen gelten?", "miet.md"),
        ("strasse", "miet.md"),
        ("kundigungsfrist", "miet.md"),
        ("STRAẞE", "miet.md"),
        ("Quel est le preavis ?", "bail.md"),
        ("通知期是多久?", "zh.md"),
        ("予告期間は何か月ですか", "ja.md"),
        ("ค่าเช่าเท่าไหร่", "th.md"),
        ("Какого срока уведомление?", "ru.md"),
        ("किराया कितना है?", "hi.md"),
        ("كم مدة الإشعار", "ar.md"),
        ("통지 기간이 얼마나 되나요?", "ko.md"),
        ("lease", "lease.md"),  # its name, too
    ],
)
async def test_a_question_finds_its_document_in_any_language(make, passages: Passages, question: str, document: str):
    bucket = await make(**{"lease.md": LEASE, **LANGUAGES, "filler.md": paragraphs(5)})

    found = await passages.find(bucket, question, 10_000)

    assert names(found)[:1] == [document]


async def test_words_of_grammar_do_not_swamp(make, passages: Passages):
    stuffed = "what is the of the and how is it that the is of what " * 15
    bucket = await make(**{"stuffed.md": stuffed, "lease.md": LEASE})

    found = await passages.find(bucket, "What is the notice period of the contract, and how long is it?", 10_000)

    assert names(found)[:1] == ["lease.md"]


async def test_a_word_that_stands_everywhere_does_not_swamp_in_a_language_without_a_list(make, passages: Passages):
    everywhere = "\n\n".join(f"# {at}\n\n" + "ni na ya wa " * 100 for at in range(100))
    bucket = await make(**{"a.md": everywhere, "b.md": "Kodi ya nyumba ni shilingi elfu kumi."})

    found = await passages.find(bucket, "kodi ya nyumba ni kiasi gani", 2000)

    assert names(found)[:1] == ["b.md"]


async def test_nothing_is_found_where_nothing_bears_on_the_question(make, passages: Passages):
    bucket = await make(**{"lease.md": LEASE})

    for question in ("", "???", "helicopter", "What is it about?", '"', "* OR NEAR(", "a" * 100_000):
        assert await passages.find(bucket, question, 1000) == []


async def test_near_duplicates_are_dropped_but_not_where_a_number_differs(make, passages: Passages):
    invoice = "Invoice {}. The total for cleaning the stairs of the house is {} euros, payable at once. Thank you."
    bucket = await make(
        **{
            "1.md": invoice.format(1, 120),
            "again.md": invoice.format(1, 120).replace(" euros,", "  Euros"),
            "2.md": invoice.format(2, 130),
        }
    )

    found = await passages.find(bucket, "cleaning total", 10_000)

    assert len(found) == 2
    assert "2.md" in names(found)


async def test_no_document_takes_all_the_room(make, passages: Passages):
    much = "\n\n".join(f"# Part {at}\n\nThe lease of flat {at}. " + f"Word{at} " * 150 for at in range(30))
    bucket = await make(**{"much.md": much, "little.md": "# Part\n\nThe lease of a garage. " + "car " * 200})

    found = await passages.find(bucket, "lease", 6000)

    assert set(names(found)) == {"much.md", "little.md"}


async def test_one_document_can_be_asked_alone(make, passages: Passages):
    bucket = await make(**{"a.md": LEASE, "b.md": LEASE + "notice"})

    assert set(names(await passages.find(bucket, "notice period", 9000, "b.md"))) == {"b.md"}
    assert set(names(await passages.openings(bucket, 9000, "b.md"))) == {"b.md"}
    assert len(await passages.openings(bucket, 9000)) == 2


async def test_what_comes_later_is_found_and_what_changes_is_read_again(make, passages: Passages):
    bucket = await make(**{"a.md": paragraphs(20)})
    assert await passages.find(bucket, "helicopter", 1000) == []

    await make(**{"b.md": "A helicopter stands on the roof."})
    assert names(await passages.find(bucket, "helicopter", 1000)) == ["b.md"]

    (bucket.folder / "b.md").write_text("There is no such thing on the roof.")
    assert await passages.find(bucket, "helicopter", 1000) == []
    assert names(await passages.find(bucket, "roof", 1000)) == ["b.md"]


async def test_what_is_known_is_not_read_again(make, passages: Passages):
    bucket = await make(**{"a.md": paragraphs(20)})
    await passages.find(bucket, "house", 1000)
    before = numbers(bucket)

    await make(**{"b.md": "new"})
    await passages.find(bucket, "house", 1000)

    assert numbers(bucket)[: len(before)] == before
    assert len(numbers(bucket)) == len(before) + 1


def numbers(bucket: Bucket) -> list[int]:
    index = sqlite3.connect(bucket.hidden / "passages.db")
    try:
        return [number for (number,) in index.execute("SELECT id FROM passages ORDER BY id")]
    finally:
        index.close()


def spoil(sql: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        index = sqlite3.connect(path)
        index.executescript(sql)
        index.close()

    return spoil


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no database at all" * 1000),
        lambda path: path.write_bytes(path.read_bytes()[:4096]),
        lambda path: path.write_bytes(path.read_bytes()[:8192] + b"\xff" * 20000),
        spoil("PRAGMA user_version = 99"),
        spoil("DROP TABLE words"),
        spoil("DROP TABLE documents"),
        lambda path: shutil.rmtree(path.parent),
    ],
    ids=["lost", "empty", "garbage", "cut", "overwritten", "version", "no words", "no documents", "no folder"],
)
async def test_an_index_that_is_lost_or_damaged_is_made_again(
    make, passages: Passages, buckets: Buckets, damage: Callable[[Path], object]
):
    bucket = await make(**{"lease.md": LEASE, "filler.md": paragraphs(300)})
    before = await passages.find(bucket, "notice period", 3000)
    await bucket.index.close()

    await asyncio.to_thread(damage, bucket.hidden / "passages.db")

    assert await passages.find(bucket, "notice period", 3000) == before != []


async def test_an_update_that_is_cut_off_is_done_anew(tmp_path: Path):
    text = tmp_path / "a.md"
    text.write_text(paragraphs(10_000) + "\n\nhelicopter")
    index = PassageIndex(tmp_path / "passages.db", {"a.md": text})
    stops = iter([False, False, True])

    def update() -> None:
        index.create()
        index.update(lambda: next(stops))

    await asyncio.to_thread(update)
    assert not await asyncio.to_thread(index.is_current)
    assert await asyncio.to_thread(index.find, "house", 1000) == [], "half a document is not asked"

    await asyncio.to_thread(index.update)
    assert await asyncio.to_thread(index.is_current)
    assert len(await asyncio.to_thread(index.find, "helicopter", 1000)) == 1


async def test_texts_that_change_again_and_again_do_not_pile_up(make, passages: Passages):
    bucket = await make(**{"a.md": paragraphs(100)})
    for turn in range(15):
        (bucket.folder / "a.md").write_text(paragraphs(100, f"turn{turn}"))
        await passages.find(bucket, "house", 1000)

    assert max(numbers(bucket)) < 1500
    assert names(await passages.find(bucket, "turn14", 1000)) == ["a.md"]


ASK = """
import asyncio, json, sys
from pathlib import Path
from mediary.buckets.bucket import Buckets
from mediary.buckets.passages.ask import Passages
from mediary.buckets.reading.text import Texts
from mediary.settings import BucketSettings

async def ask():
    buckets = Buckets(Path(sys.argv[1]))
    passages = Passages(Texts(None, BucketSettings()))
    sys.stdin.readline()
    found = await passages.find(await buckets.get("b"), "notice period", 3000)
    print(json.dumps([[passage.document, passage.text] for passage in found]))
    await buckets.close()

asyncio.run(ask())
"""


async def test_several_processes_make_the_index_at_once(make, buckets: Buckets, passages: Passages):
    bucket = await make(**{"lease.md": LEASE, "filler.md": paragraphs(3000)})
    pipe = subprocess.PIPE

    def answers() -> list[list[list[str]]]:
        command = [sys.executable, "-c", ASK, str(buckets.root)]
        asking = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(3)]
        for process in asking:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        return [json.loads(process.communicate(timeout=60)[0]) for process in asking]

    told = await asyncio.to_thread(answers)

    mine = [[passage.document, passage.text] for passage in await passages.find(bucket, "notice period", 3000)]
    assert told == [mine] * 3
    assert len(numbers(bucket)) == len(set(numbers(bucket))) == max(numbers(bucket)), "made once"


async def test_many_ask_at_once(make, passages: Passages):
    bucket = await make(**{"lease.md": LEASE, "filler.md": paragraphs(500)})

    found = await asyncio.gather(*(passages.find(bucket, "notice period", 3000) for _ in range(20)))

    assert found == [found[0]] * 20 != [[]] * 20


async def test_a_bucket_that_was_deleted_meanwhile_is_gone(make, passages: Passages, buckets: Buckets):
    bucket = await make(**{"lease.md": LEASE})
    await buckets.delete("b")

    with pytest.raises(NotFoundError):
        await passages.find(bucket, "lease", 1000)
    assert not bucket.folder.exists()


async def test_look_and_whole(make, passages: Passages):
    bucket = await make(**{"a.md": "Ä", "b.md": LEASE})

    readiness = await passages.look(bucket)

    assert [document.name for document in readiness.ready] == ["a.md", "b.md"]
    assert readiness.size == 2 + len(LEASE)
    assert await passages.whole(bucket, readiness) == [Passage("a.md", "Ä"), Passage("b.md", LEASE)]
    assert [document.name for document in (await passages.look(bucket, "b.md")).ready] == ["b.md"]


async def test_a_document_of_one_long_line_does_no_harm(make, passages: Passages):
    bucket = await make(**{"line.md": "word" * 1_000_000 + " helicopter " + "x" * 1_000_000})

    [found] = await passages.find(bucket, "helicopter", 10_000)

    assert len(found.text) <= LONGEST


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> PassageIndex:
    folder = tmp_path_factory.mktemp("index")
    texts = {"lease.md": LEASE, **LANGUAGES}
    for name, text in texts.items():
        (folder / name).write_text(text)
    made = PassageIndex(folder / "passages.db", {name: folder / name for name in texts})
    made.create()
    made.update()
    return made


@given(st.text(max_size=60) | st.text('"*^:(){}-+ abAND ORNOT北京ก็̈_', max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_question_can_be_asked(index: PassageIndex, question: str):
    for passage in index.find(question, 5000):
        assert passage.score > 0
