# -*- test-case-name: tests.http.upload.test_resource -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.upload.resource}, and of files on their way to the store and from there."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.logger import LogLevel
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString

from muccore.http.upload.receiving import WAITING
from muccore.http.upload.sending import STALLED
from muccore.http.upload.service import Uploads, UploadSettings
from muccore.http.upload.slots import LIFETIME, Slot
from muccore.interfaces import StoreUnavailable
from muccore.interfaces.uploads import Upload
from muccore.log import eventlog
from muccore.log.eventlog import RateLimit
from muccore.server.uploads import uploadResource
from muccore.storage.memoryuploads import MemoryUploads, MemoryWriter
from muccore.xmpp import jid
from tests.configuration import Logged
from tests.http import SiteCase, Transport

ROMEO = jid.parse("romeo@example.org")
SETTINGS = UploadSettings(10**6, 10**7, 10**8, retention=1000, publicURL="https://files.example")
PICTURE = b"\x89PNG picture"


class SlowWriter(MemoryWriter):
    """A writer whose disk is slow. C{waiting}: what it has to write."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.waiting: list[tuple[bytes, Deferred[None]]] = []

    def write(self, data: bytes) -> Deferred[None]:
        """Wait until the disk has written it."""
        done: Deferred[None] = Deferred()
        self.waiting.append((data, done))
        return done

    def written(self) -> None:
        """The disk has written something."""
        data, done = self.waiting.pop(0)
        super().write(data).chainDeferred(done)


class ResourceCase(SiteCase):
    """A site with files, in memory."""

    def setUp(self) -> None:
        """Add the files to the site."""
        super().setUp()
        self.logged = Logged(self)
        self.patch(eventlog, "limit", RateLimit())
        self.clock.advance(10**9)
        self.store = MemoryUploads()
        self.store.open()
        self.uploads = Uploads(self.store, SETTINGS, self.clock, self.clock.seconds)
        self.site.addResource(uploadResource(self.uploads))

    def promise(
        self, size: int = len(PICTURE), name: str = "très.png", kind: str | None = "image/png", until: int | None = None
    ) -> Slot:
        """Get a slot."""
        made = self.uploads.promise(ROMEO, name, size, kind, until)
        slot: Slot = self.successResultOf(Deferred.fromCoroutine(made))
        return slot

    def path(self, slot: Slot) -> str:
        """The path of the URL of a slot."""
        return self.uploads.url("", slot.upload).replace("/", "/upload/", 1)

    def put(
        self, slot: Slot, body: bytes = PICTURE, path: str | None = None, size: int | None = None, **headers: str | None
    ) -> Transport:
        """Put a file into a slot."""
        given: dict[str, str | None] = {
            "Authorization": f"Bearer {slot.token}", "Content_Type": "image/png",
            "Content_Length": str(len(body) if size is None else size), **headers,
        }  # fmt: skip
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in given.items() if value is not None]
        return self.request(path or self.path(slot), *lines, method="PUT", rest=body)

    def stored(self, body: bytes = PICTURE, **slot: Any) -> str:
        """Store a file; return its path."""
        made = self.promise(len(body), **slot)
        self.assertStatus(201, self.put(made, body))
        return self.path(made)

    def body(self, transport: Transport) -> bytes:
        """The body of a response."""
        return transport.value().partition(b"\r\n\r\n")[2]

    def lose(self, transport: Transport) -> None:
        """Lose a connection."""
        transport.protocol.connectionLost(Failure(ConnectionDone()))


class PutTests(ResourceCase):
    """Files on their way to the store."""

    def test_put(self) -> None:
        """§7: the file is stored, and a slot serves once."""
        slot = self.promise()
        transport = self.put(slot)
        self.assertEqual(self.assertStatus(201, transport)["access-control-allow-origin"], "*")
        self.assertEqual(self.store.files[slot.upload.id], (slot.upload, PICTURE))
        self.assertIn(f"uploaded by romeo@example.org: {len(PICTURE)} bytes", self.logged.lines(LogLevel.info))
        self.assertStatus(403, self.put(slot))
        self.assertEqual(self.store.files[slot.upload.id], (slot.upload, PICTURE))
        self.assertFalse(transport.disconnecting)

    def test_refused(self) -> None:
        """Nobody puts a file without the token of its slot, elsewhere, or too late."""
        slot, other = self.promise(), self.promise(name="b.png")
        path = self.path(slot)
        for changes in (
            {"Authorization": None}, {"Authorization": slot.token}, {"Authorization": "Bearer "},
            {"Authorization": f"Bearer {other.token}"}, {"Authorization": f"Basic {slot.token}"},
            {"Authorization": "Bearer \xe4"}, {"path": self.path(other)}, {"path": path.replace("png", "exe")},
            {"path": path.rpartition("/")[0]}, {"path": path + "/"}, {"path": "/upload"}, {"path": "/upload/"},
            {"path": f"/upload/{slot.upload.id}/..%2f..%2fx"}, {"path": f"/upload/../upload/{slot.upload.id}/x"},
            {"path": path.replace("%C3", "%FF")}, {"path": f"/upload/{'a' * 32}/a.png"},
        ):  # fmt: skip
            self.assertStatus(403, self.put(slot, **changes))
        for spelling in ("/%75pload/", "/upload/%2e/"):
            self.assertStatus(403, self.put(slot, path=path.replace("/upload/", spelling)))
        self.clock.advance(LIFETIME)
        self.assertStatus(403, self.put(slot))
        self.assertEqual((self.store.files, self.store.writing), ({}, {}))

    def test_other(self) -> None:
        """§7: another size or type than what was promised is refused, before the file arrives."""
        slot = self.promise()
        for changes, status in (
            ({"size": len(PICTURE) + 1}, 413), ({"size": len(PICTURE) - 1}, 400), ({"size": 0, "body": b""}, 400),
            ({"Content_Length": None, "Transfer_Encoding": "chunked"}, 411), ({"Content_Type": "image/gif"}, 415),
            ({"Content_Type": "junk"}, 415),
        ):  # fmt: skip
            transport = self.put(slot, **changes)  # type: ignore[arg-type]
            headers = self.assertStatus(status, transport)
            self.assertEqual(headers["connection"], "close")
        self.assertStatus(201, self.put(slot, Content_Type="IMAGE/png; x=y"))
        self.assertStatus(201, self.put(self.promise(), Content_Type=None))
        for kind in ("text/html", None):
            self.assertStatus(201, self.put(self.promise(kind=None), Content_Type=kind))

    def test_broken(self) -> None:
        """Of a file whose connection is lost nothing is left; it can be put again, but not twice at once."""
        slot = self.promise()
        transport = self.put(slot, PICTURE[:4], size=len(PICTURE))
        self.assertEqual(list(self.store.writing), [slot.upload.id])
        self.assertStatus(409, self.put(slot))
        self.lose(transport)
        self.assertEqual((self.store.files, self.store.writing), ({}, {}))
        self.assertStatus(201, self.put(slot))

    def test_slowDisk(self) -> None:
        """A connection is not read while much waits for the disk."""
        writers: list[SlowWriter] = []

        def create(upload: Upload, *quotas: int) -> Deferred[Any]:
            writers.append(SlowWriter(self.store, upload))
            return succeed(writers[-1])

        self.patch(self.store, "create", create)
        slot = self.promise(WAITING * 2)
        transport = self.put(slot, b"a" * 1000, size=WAITING * 2)
        [writer] = writers
        for size, state in ((WAITING - 1000, "producing"), (1, "paused"), (WAITING - 1, "paused")):
            transport.protocol.dataReceived(b"b" * size)
            self.assertEqual(transport.producerState, state)
        writer.written()
        self.assertEqual(transport.producerState, "paused")
        self.assertEqual(self.body(transport), b"")
        self.assertEqual(len(writer.waiting), 1)
        writer.written()
        self.assertEqual(transport.producerState, "producing")
        self.assertStatus(201, transport)
        self.assertEqual(self.store.files[slot.upload.id][1], b"a" * 1000 + b"b" * (WAITING * 2 - 1000))

    def test_storeFails(self) -> None:
        """If a file cannot be stored, that is logged, and the response says so when all has arrived."""
        for method, result in (
            ("create", lambda *_: fail(StoreUnavailable("full"))),
            ("create", lambda upload, *_: self.failing(upload, "write")),
            ("create", lambda upload, *_: self.failing(upload, "finish")),
        ):
            self.patch(self.store, method, result)
            slot = self.promise()
            transport = self.put(slot, PICTURE[:4], size=len(PICTURE))
            self.assertEqual(transport.value(), b"")
            transport.protocol.dataReceived(PICTURE[4:])
            self.assertStatus(507, transport)
            self.assertIn("a file cannot be stored: full", self.logged.lines(LogLevel.error))
            self.assertIsNone(slot.body)
        self.assertEqual(self.store.files, {})

    def failing(self, upload: Upload, method: str) -> Any:
        """A writer that fails."""
        writer = MemoryWriter(self.store, upload)
        setattr(writer, method, lambda *_: fail(StoreUnavailable("full")))
        return succeed(writer)

    def test_quota(self) -> None:
        """A quota that is exceeded meanwhile is kept."""
        slot = self.promise()
        self.uploads.settings = UploadSettings(10, 10, 10)
        self.assertStatus(507, self.put(slot))

    def test_accountRemoved(self) -> None:
        """What an account is uploading is dropped when the account is removed."""
        slot = self.promise()
        transport = self.put(slot, PICTURE[:4], size=len(PICTURE))
        self.successResultOf(Deferred.fromCoroutine(self.uploads.forget(ROMEO)))
        self.assertEqual((self.store.files, self.store.writing), ({}, {}))
        transport.protocol.dataReceived(PICTURE[4:])
        self.assertStatus(403, transport)

    def test_lostWhileFinishing(self) -> None:
        """A file that is whole is kept, even if nobody gets the response."""
        finishing: Deferred[None] = Deferred()
        real = MemoryWriter.finish
        self.patch(MemoryWriter, "finish", lambda writer: finishing.addCallback(lambda _: real(writer)))
        slot = self.promise()
        self.lose(self.put(slot))
        finishing.callback(None)
        self.assertIn(slot.upload.id, self.store.files)


class GetTests(ResourceCase):
    """Files on their way from the store."""

    def get(self, path: str, *headers: str, method: str = "GET") -> Transport:
        """Ask for a file."""
        return self.request(path, *headers, method=method)

    def test_get(self) -> None:
        """A file comes with what browsers and caches need to know."""
        path = self.stored()
        for method in ("GET", "HEAD"):
            transport = self.get(path, method=method)
            headers = self.assertStatus(200, transport)
            self.assertEqual(self.body(transport), PICTURE if method == "GET" else b"")
            id = path.split("/")[2]
            for name, value in {
                "content-length": str(len(PICTURE)), "content-type": "image/png", "etag": f'"{id}"',
                "content-disposition": "inline; filename*=UTF-8''tr%C3%A8s.png", "accept-ranges": "bytes",
                "cache-control": "max-age=1000, immutable", "x-content-type-options": "nosniff",
                "last-modified": datetimeToString(10**9).decode(), "access-control-allow-origin": "*",
                "content-security-policy": "default-src 'none'; media-src 'self'; frame-ancestors 'none'",
                "referrer-policy": "no-referrer",
            }.items():  # fmt: skip
                self.assertEqual(headers[name], value, name)

    def test_active(self) -> None:
        """What could be a page or a script is bytes to be saved."""
        for kind in ("text/html", "image/svg+xml", "text/javascript"):
            slot = self.promise(kind=kind)
            self.assertStatus(201, self.put(slot, Content_Type=kind))
            headers = self.assertStatus(200, self.get(self.path(slot)))
            self.assertEqual(headers["content-type"], "application/octet-stream")
            self.assertTrue(headers["content-disposition"].startswith("attachment; "))

    def test_missing(self) -> None:
        """What is not there, or under another name, is not found, and not cached."""
        path, slot = self.stored(), self.promise()
        id = path.split("/")[2]
        for missing in (
            self.path(slot), f"/upload/{id}", f"/upload/{id}/", f"/upload/{id}/x.png", "/upload", "/upload/",
            f"{path}/x", f"/upload/x/{id}/x", "/upload/../../etc/passwd", "/upload/..%2f..%2fetc%2fpasswd/x",
            f"/upload/{id}/%FF", f"/upload//{id}/x", "/upload/%00/%00",
        ):  # fmt: skip
            headers = self.assertStatus(404, self.get(missing))
            self.assertEqual(headers["cache-control"], "no-store")
            self.assertEqual(headers["content-type"], "text/plain; charset=utf-8")
        self.assertStatus(200, self.get(path + "?x"))
        for method, status in (("POST", 405), ("DELETE", 501), ("PATCH", 501)):
            self.assertStatus(status, self.get(path, method=method))

    def test_expires(self) -> None:
        """From a time on, a file is not served, whether it is removed or not; caches know that."""
        path = self.stored(until=10**9 + 500)
        self.clock.advance(499)
        self.assertEqual(self.assertStatus(200, self.get(path))["cache-control"], "max-age=1, immutable")
        self.clock.advance(1)
        self.assertStatus(404, self.get(path))
        self.uploads.settings = UploadSettings(10**6, 10**7, 10**8)
        self.assertIn("max-age=31536000", self.assertStatus(200, self.get(self.stored()))["cache-control"])

    def test_conditional(self) -> None:
        """RFC 9110 §13: who has a file is not sent it again."""
        path = self.stored()
        tag = f'"{path.split("/")[2]}"'
        now, before = (datetimeToString(10**9 + offset).decode() for offset in (0, -1))
        for header, status in (
            (f"If-None-Match: {tag}", 304), (f'If-None-Match: "x", W/{tag}', 304), ("If-None-Match: *", 304),
            ('If-None-Match: "x"', 200), (f"If-Modified-Since: {now}", 304), (f"If-Modified-Since: {before}", 200),
            ("If-Modified-Since: junk", 200), (f'If-None-Match: "x"\r\nIf-Modified-Since: {now}', 200),
        ):  # fmt: skip
            transport = self.get(path, header)
            self.assertEqual(self.assertStatus(status, transport)["etag"], tag)
            self.assertEqual(self.body(transport), PICTURE if status == 200 else b"", header)

    def test_ranges(self) -> None:
        """RFC 9110 §14: parts of a file."""
        path = self.stored()
        tag, size = f'"{path.split("/")[2]}"', len(PICTURE)
        for headers, status, part, shown in (
            (["Range: bytes=1-3"], 206, PICTURE[1:4], f"bytes 1-3/{size}"),
            (["Range: bytes=-3"], 206, PICTURE[-3:], f"bytes {size - 3}-{size - 1}/{size}"),
            (["Range: bytes=4-", f"If-Range: {tag}"], 206, PICTURE[4:], f"bytes 4-{size - 1}/{size}"),
            (["Range: bytes=4-", 'If-Range: "x"'], 200, PICTURE, None),
            (["Range: bytes=0-0,2-2"], 200, PICTURE, None),
            (["Range: junk"], 200, PICTURE, None),
            ([f"Range: bytes={size}-"], 416, b"The file is shorter.\n", f"bytes */{size}"),
        ):
            transport = self.get(path, *headers)
            found = self.assertStatus(status, transport)
            self.assertEqual((self.body(transport), found.get("content-range")), (part, shown))
        self.assertStatus(200, self.get(path, "Range: bytes=1-3", method="HEAD"))

    def test_preflight(self) -> None:
        """Pages of any origin may put and get files."""
        path = self.path(self.promise())
        transport = self.get(
            path, "Origin: https://chat.example", "Access-Control-Request-Method: PUT", method="OPTIONS"
        )
        headers = self.assertStatus(204, transport)
        self.assertEqual(headers["access-control-allow-origin"], "*")
        self.assertEqual(headers["access-control-allow-methods"], "OPTIONS, HEAD, GET, PUT")
        self.assertEqual(headers["access-control-allow-headers"], "Authorization, Content-Type")

    def test_backPressure(self) -> None:
        """A file is read only as fast as the client takes it."""
        content = bytes(range(256)) * 2000
        path = self.stored(content)
        reads: list[tuple[Any, ...]] = []
        real = self.store.read

        def read(*args: Any) -> Deferred[bytes]:
            reads.append(args)
            transport.producer.pauseProducing()
            return real(*args)

        self.patch(self.store, "read", read)
        transport = self.connect()
        transport.protocol.dataReceived(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for count in range(1, 5):
            self.assertEqual(len(reads), count)
            self.clock.advance(STALLED - 1)
            transport.producer.resumeProducing()
        self.assertEqual(self.body(transport), content)
        self.assertFalse(transport.disconnecting)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_stalled(self) -> None:
        """A client that reads nothing for a time is disconnected."""
        path = self.stored(bytes(400_000))
        real = self.store.read
        self.patch(self.store, "read", lambda *args: (transport.producer.pauseProducing(), real(*args))[1])
        transport = self.connect()
        transport.protocol.dataReceived(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.clock.advance(STALLED)
        self.assertTrue(transport.disconnecting)
        self.lose(transport)
        self.assertLess(len(self.body(transport)), 400_000)

    def test_lost(self) -> None:
        """A connection that is lost while the disk reads, or before, is forgotten."""
        path = self.stored()
        for method in ("find", "read"):
            waiting: Deferred[Any] = Deferred()
            with self.subTest(method=method):
                real = getattr(self.store, method)
                self.patch(self.store, method, lambda *args, d=waiting: d)
                transport = self.get(path)
                self.lose(transport)
                waiting.callback(self.store.files[path.split("/")[2]][0] if method == "find" else PICTURE)
                self.patch(self.store, method, real)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_unreadable(self) -> None:
        """What cannot be read is logged; a response that has begun ends early, so that nobody takes it for whole."""
        path = self.stored(bytes(400_000))
        real = self.store.read
        for method, result in (
            ("find", lambda id: fail(StoreUnavailable("the disk"))),
            ("read", lambda id, start, size: fail(StoreUnavailable("the disk")) if start else real(id, start, size)),
            ("read", lambda id, start, size: succeed(b"")),
        ):
            self.patch(self.store, method, result)
            transport = self.get(path)
            if method == "find":
                self.assertStatus(500, transport)
                self.assertIn("a file cannot be read: the disk", self.logged.lines(LogLevel.error))
                self.patch(self.store, "find", MemoryUploads.find.__get__(self.store))
            else:
                self.assertTrue(transport.disconnecting)
                self.assertLess(len(self.body(transport)), 400_000)


class PiecesTests(ResourceCase):
    """Requests arrive in any pieces."""

    @given(st.binary(min_size=1, max_size=400), st.lists(st.integers(1, 200), max_size=40))
    def test_pieces(self, content: bytes, sizes: list[int]) -> None:
        """However a request is cut into pieces, the file is the same."""
        slot = self.promise(len(content))
        head = f"PUT {self.path(slot)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {slot.token}\r\n"
        data = f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
        transport = self.connect()
        for size in (*sizes, len(data)):
            piece, data = data[:size], data[size:]
            transport.protocol.dataReceived(piece)
        self.assertStatus(201, transport)
        self.assertEqual(self.store.files[slot.upload.id][1], content)
        self.lose(transport)
        # So that no limit is reached.
        self.uploads.slots.take(ROMEO.bare)
        self.store.files.clear()
