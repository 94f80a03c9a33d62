"""What a page in a browser does with a bucket: it uploads by a form, follows the text as events, shows pictures."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.media.looks import RED, plain
from tests.servers.browser import chromium
from tests.servers.mediary import MediaryServer

REPORT = Path(__file__).parents[1] / "documents" / "office" / "report.docx"

UPLOAD = """
async ([bucket, files]) => {
    const form = new FormData();
    for (const [name, base64] of files) {
        const bytes = Uint8Array.from(atob(base64), character => character.charCodeAt(0));
        form.append('files', new File([bytes], name));
    }
    const answer = await fetch(`/backend-api/v2/files/${bucket}`, {method: 'POST', body: form});
    return [answer.status, await answer.json()];
}
"""

# An event source begins anew when the server ends the stream: the page closes it when all is said.
FOLLOW = """
bucket => new Promise((done, failed) => {
    const events = [];
    const source = new EventSource(`/backend-api/v2/files/${bucket}/stream?delete_files=false`);
    source.onmessage = message => {
        const event = JSON.parse(message.data);
        events.push(event);
        if (event.action === 'done' || event.error) { source.close(); done(events); }
    };
    source.onerror = () => failed('the stream broke off');
})
"""

SIZES = """
async paths => {
    const images = paths.map(path => Object.assign(new Image(), {src: path}));
    await Promise.all(images.map(image => image.decode()));
    return images.map(image => [image.naturalWidth, image.naturalHeight]);
}
"""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MediaryServer]:
    started = await asyncio.to_thread(MediaryServer(tmp_path / "data").start)
    yield started
    await asyncio.to_thread(started.stop)


async def test_a_page_uploads_follows_and_shows(server: MediaryServer) -> None:
    picture = plain(RED, 1000, 500).write_to_buffer(".png")
    files = [["report.docx", b64encode(REPORT.read_bytes()).decode()], ["red.png", b64encode(picture).decode()]]
    async with chromium() as browser:
        page = await browser.new_page()
        await page.goto(f"{server.url}/docs")

        status, taken = await page.evaluate(UPLOAD, ["desk", files])
        events = await page.evaluate(FOLLOW, "desk")
        sizes = await page.evaluate(SIZES, ["/files/desk/media/red.png", "/files/desk/thumbnail/red.png"])
        text = await page.evaluate("fetch('/backend-api/v2/files/desk?delete_files=false').then(a => a.text())")

    assert status == 200
    assert taken["files"] == ["report.docx.md"]
    assert taken["media"] == [{"name": "red.png", "width": 1000, "height": 500}]
    assert {"action": "media", "filename": "red.png"} in events
    assert events[-1] == {"action": "done", "size": len(text.encode())}, json.dumps(events)
    assert sizes == [[1000, 500], [400, 200]]
    assert "# Harbour works" in text
