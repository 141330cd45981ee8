"""Uploads through a proxy that cuts the connection twenty times: tus-js-client and `bulkql import` bring all bytes."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from bulkql.server.client import BulkClient
from bulkql.server.embedded import free_port
from tests.acceptance.test_protocols import programs, run

__all__ = ["programs"]

CUTS = 20
CREATE = "mutation ($name: String!, $size: BigInt) { createUpload(name: $name, size: $size) { id url tusResumable } }"
PARTS = """
SELECT data FROM bulkql_stored_part p JOIN bulkql_stored_file f ON f.id = p.file_id WHERE f.name = %s ORDER BY number
"""


class Cutter:
    """A TCP proxy that cuts connections which have brought so many bytes, so often."""

    def __init__(self, target: int, after: int) -> None:
        self.port, self.cuts = free_port(), 0
        self._target, self._after = target, after
        self._is_ready = threading.Event()
        self._open: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Cutter:
        self._thread = threading.Thread(target=asyncio.run, args=[self._serve()])
        self._thread.start()
        self._is_ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._is_over = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._accept, "127.0.0.1", self.port):
            self._is_ready.set()
            await self._is_over.wait()
            for one in self._open:
                one.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, back}
        answers = asyncio.ensure_future(passed(there, writer))
        brought = 0
        with suppress(OSError):
            while piece := await reader.read(16 * 1024):
                brought += len(piece)
                back.write(piece)
                await back.drain()
                if brought > self._after and self.cuts < CUTS:
                    self.cuts += 1
                    break
        answers.cancel()
        for one in (writer, back):
            one.transport.abort()


async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What comes back."""
    with suppress(OSError):
        while piece := await reader.read(16 * 1024):
            writer.write(piece)
            await writer.drain()


@pytest.fixture
def cutter(service) -> Iterator[Cutter]:
    with Cutter(int(service.url.rsplit(":", 1)[1]), 200_000) as proxy:
        yield proxy


@pytest.fixture
def sent(tmp_path):
    """A file of 8 MB, no two lines of which are the same."""
    path = tmp_path / "accounts.csv"
    path.write_text(
        "name\n" + "".join(f"{hashlib.sha256(bytes([n % 256, n // 256])).hexdigest()} {n}\n" for n in range(50_000))
    )
    path.write_bytes(path.read_bytes() * 2)
    return path


def stored(service, upload_id):
    return b"".join(bytes(data) for (data,) in service.sql(PARTS, f"uploads/{upload_id}"))


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not here: what comes from there is left out")
def test_tus_js_client_goes_on_after_twenty_cuts(service, cutter, programs, sent):
    upload = service.post(CREATE, name=sent.name, size=str(sent.stat().st_size))["data"]["createUpload"]
    url = upload["url"].replace(service.url, f"http://127.0.0.1:{cutter.port}")

    (done,) = run(programs, "uploads.mjs", url, service.token, str(sent))

    assert upload["tusResumable"] == "1.0.0"
    assert (cutter.cuts, done["retries"] >= CUTS) == (CUTS, True)
    assert stored(service, upload["id"]) == sent.read_bytes()


def test_bytes_along_with_a_creation_are_told_their_place(service):
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "2000000", "Upload-Metadata": "filename YS5jc3Y="}
    headers |= {"Authorization": f"Bearer {service.token}", "Content-Type": "application/offset+octet-stream"}

    answer = httpx.post(f"{service.url}/uploads", content=bytes(2_000_000), headers=headers)

    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (
        413,
        "2,000,000 bytes along with a new upload exceed the limit of 1,048,576 (BULKQL_FORM_BYTES); create it without "
        "them, and send them to the Location of the answer.",
    )


def test_our_own_client_does_too(service, cutter, sent, monkeypatch):
    monkeypatch.setattr("bulkql.server.client.time.sleep", lambda _: None)

    upload_id = BulkClient(f"http://127.0.0.1:{cutter.port}", service.token).upload(sent)

    assert cutter.cuts == CUTS
    assert stored(service, upload_id) == sent.read_bytes()
