# -*- test-case-name: tests.http.upload.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.upload.handler} and of slots that L{muccore.http.upload.service} promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from muccore.http.upload.handler import UploadHandler
from muccore.http.upload.service import CLEANING, Uploads, UploadSettings
from muccore.http.upload.slots import LIFETIME
from muccore.interfaces import StoreUnavailable
from muccore.interfaces.uploads import Upload
from muccore.services.disco import AccountDiscoHandler
from muccore.storage.memoryuploads import MemoryUploads
from muccore.testing.inmemory import InMemoryServer
from muccore.xmpp import jid, ns
from muccore.xmpp.datetimes import stamp
from tests.configuration import Logged

BASE = "https://files.example"
SETTINGS = UploadSettings(1000, 2000, 3000, retention=86400, slotsPerMinute=5, publicURL=BASE)
ROMEO = "romeo@localhost"


class HandlerTests(SynchronousTestCase):
    """Requests for slots."""

    def setUp(self) -> None:
        """Start a server with two users."""
        self.server = InMemoryServer()
        self.store = MemoryUploads()
        self.store.open()
        self.uploads = Uploads(self.store, SETTINGS, self.server.clock, self.server.clock.seconds)
        self.handler = UploadHandler(self.uploads)
        self.server.addHandler(AccountDiscoHandler())
        self.server.addHandler(self.handler)
        self.romeo = self.server.client(f"{ROMEO}/orchard")
        self.began = int(self.server.clock.seconds())

    def request(self, inside: str = "", client: Any = None, **attributes: str) -> Any:
        """Request a slot; return the answer."""
        given = {"filename": "a.png", "size": "100", "content-type": "image/png"}
        given.update((name.replace("_", "-"), value) for name, value in attributes.items())
        text = " ".join(f"{name}='{value}'" for name, value in given.items() if value != "-")
        client = client or self.romeo
        payload = f"<request xmlns='{ns.HTTP_UPLOAD}' {text}>{inside}</request>"
        client.sends(f"<iq type='get' id='1' to='localhost'>{payload}</iq>")
        [answer] = client.received()
        return answer

    def assertRefused(self, answer: Any, condition: str, kind: str) -> Any:
        """Check that an answer is an error with the request in it; return the error."""
        self.assertEqual((answer["type"], answer.error["type"]), ("error", kind))
        self.assertIsNotNone(answer.error.child(condition, ns.STANZA_ERRORS), answer.toXml())
        self.assertIsNotNone(answer.child("request", ns.HTTP_UPLOAD))
        return answer.error

    def test_slot(self) -> None:
        """§4: both URLs have the encoded name of the file, and putting needs a header that getting does not."""
        answer = self.request(filename="très cool.jpg")
        self.assertEqual((answer["type"], answer.slot.uri), ("result", ns.HTTP_UPLOAD))
        url = answer.slot.child("get")["url"]
        self.assertRegex(url, rf"\A{BASE}/upload/[A-Za-z0-9_-]{{32}}/tr%C3%A8s%20cool\.jpg\Z")
        put = answer.slot.child("put")
        self.assertEqual(put["url"], url)
        [header] = put.elements()
        self.assertEqual(header["name"], "Authorization")
        self.assertRegex(str(header), r"\ABearer [A-Za-z0-9_-]{32}\Z")
        slot = self.uploads.slots.find(url.split("/")[4])
        assert slot is not None
        self.assertEqual(str(header), f"Bearer {slot.token}")
        expected = Upload(slot.upload.id, ROMEO, "très cool.jpg", "image/png", 100, self.began, self.began + 86400)
        self.assertEqual((slot.upload, slot.typed), (expected, True))

    def test_untyped(self) -> None:
        """§4: the type is optional; it is then that of bytes."""
        for kind in ("-", "", " "):
            url = self.request(content_type=kind).slot.child("get")["url"]
            slot = self.uploads.slots.find(url.split("/")[4])
            assert slot is not None
            self.assertEqual((slot.upload.contentType, slot.typed), ("application/octet-stream", False))

    def test_invalid(self) -> None:
        """What is no name, size or type of a file is a bad request."""
        for attributes in (
            {"filename": "-"}, {"filename": ""}, {"filename": "a/b"}, {"filename": "../etc/passwd"}, {"filename": ".."},
            {"filename": "."}, {"filename": "a&#9;b"}, {"filename": "a&#x2028;b"}, {"filename": "ä" * 128},
            {"size": "-"}, {"size": ""}, {"size": "0"}, {"size": "-5"}, {"size": "1.5"}, {"size": "0x10"},
            {"size": "1e3"}, {"size": "&#x661;"}, {"content_type": "png"}, {"content_type": "a/b&#10;c"},
        ):  # fmt: skip
            self.assertRefused(self.request(**attributes), "bad-request", "modify")
        self.assertEqual(len(self.uploads.slots), 0)
        for attributes in ({"filename": "a\\b"}, {"filename": "&lt;.png"}, {"size": "+0100"}, {"filename": "ä" * 127}):
            self.assertEqual(self.request(**attributes)["type"], "result")

    def test_tooLarge(self) -> None:
        """§6: a file above the limit is refused with the limit."""
        self.assertEqual(self.request(size="1000")["type"], "result")
        for size in ("1001", "9" * 5000):
            error = self.assertRefused(self.request(size=size), "not-acceptable", "modify")
            tooLarge = error.child("file-too-large", ns.HTTP_UPLOAD)
            self.assertEqual(str(tooLarge.child("max-file-size")), "1000")

    def test_rate(self) -> None:
        """§6: who asks for too many slots learns when to try again."""
        self.server.clock.advance(0.5)
        for _ in range(5):
            self.request()
        error = self.assertRefused(self.request(), "resource-constraint", "wait")
        self.assertEqual(error.child("retry", ns.HTTP_UPLOAD)["stamp"], stamp(self.began + 61))
        juliet = self.server.client("juliet@localhost/balcony")
        self.assertEqual(self.request(client=juliet)["type"], "result")
        self.server.clock.advance(61)
        self.assertEqual(self.request()["type"], "result")

    def store_(self, size: int, owner: str = ROMEO, expires: int | None = 500) -> None:
        """Have a file in the store."""
        until = None if expires is None else self.began + expires
        upload = Upload(str(len(self.store.files)) * 32, owner, "x", "a/b", size, 0, until)
        self.store.files[upload.id] = (upload, b"")

    def test_ownerQuota(self) -> None:
        """§6: an account has a quota, in which slots count; it learns when the first file expires."""
        self.store_(1000)
        self.store_(100, expires=None)
        self.request(size="500")
        error = self.assertRefused(self.request(size="401"), "resource-constraint", "wait")
        self.assertEqual(error.child("retry", ns.HTTP_UPLOAD)["stamp"], stamp(self.began + 501))
        self.assertEqual(self.request(size="400")["type"], "result")
        self.server.clock.advance(LIFETIME)
        self.assertEqual(self.request(size="900")["type"], "result")

    def test_totalQuota(self) -> None:
        """All files have a quota together; nobody knows when there will be room."""
        self.store_(2000, "juliet@localhost")
        self.assertEqual(self.request(size="500")["type"], "result")
        error = self.assertRefused(self.request(size="501"), "resource-constraint", "wait")
        self.assertIsNone(error.child("retry", ns.HTTP_UPLOAD))

    def test_forbidden(self) -> None:
        """§6: guests and others who have no account here are refused."""
        guest = "6d3f6a5c-93b1-4b6e-8a4f-000000000000"
        client = self.server.client(f"{guest}@localhost/x")
        self.assertEqual(self.request(client=client)["type"], "result")
        self.handler.guests = True
        self.assertRefused(self.request(client=client), "forbidden", "auth")
        self.assertEqual(self.request()["type"], "result")

    def test_ephemeral(self) -> None:
        """§5.3: a file may expire earlier, at a time in the future."""
        for until, expires in ((1000, 1000), (86400 * 2, 86400)):
            inside = f"<ephemeral xmlns='{ns.HTTP_UPLOAD_PURPOSE}' expire-before='{stamp(self.began + until)}'/>"
            url = self.request(inside).slot.child("get")["url"]
            slot = self.uploads.slots.find(url.split("/")[4])
            assert slot is not None
            self.assertEqual(slot.upload.expires, self.began + expires)
        self.server.clock.advance(5)
        for text, condition in (
            ("", "bad-request"), ("expire-before='tomorrow'", "bad-request"),
            (f"expire-before='{stamp(self.began + 5)}'", "not-acceptable"),
        ):  # fmt: skip
            answer = self.request(f"<ephemeral xmlns='{ns.HTTP_UPLOAD_PURPOSE}' {text}/>")
            self.assertRefused(answer, condition, "modify")
        self.uploads.settings = replace(SETTINGS, retention=0)
        for inside in ("", f"<message xmlns='{ns.HTTP_UPLOAD_PURPOSE}'/>"):
            slot = self.uploads.slots.find(self.request(inside).slot.child("get")["url"].split("/")[4])
            assert slot is not None
            self.assertIsNone(slot.upload.expires)

    def test_disco(self) -> None:
        """§3: identity, features and the size limit are those of the domain."""
        self.romeo.sends(f"<iq type='get' id='1' to='localhost'><query xmlns='{ns.DISCO_INFO}'/></iq>")
        [answer] = self.romeo.received()
        children = list(answer.query.elements())
        identities = {(each["category"], each["type"]) for each in children if each.name == "identity"}
        self.assertIn(("store", "file"), identities)
        features = {each["var"] for each in children if each.name == "feature"}
        self.assertLessEqual(
            {ns.HTTP_UPLOAD, f"{ns.HTTP_UPLOAD_PURPOSE}#message", f"{ns.HTTP_UPLOAD_PURPOSE}#ephemeral"}, features
        )
        [form] = (each for each in children if each.name == "x")
        values = {field["var"]: str(field.value) for field in form.elements()}
        self.assertEqual(values, {"FORM_TYPE": ns.HTTP_UPLOAD, "max-file-size": "1000"})

    def test_noURL(self) -> None:
        """Without a URL under TLS the service is not there."""
        self.uploads.settings = replace(SETTINGS, publicURL="")
        self.assertRefused(self.request(), "service-unavailable", "cancel")
        self.romeo.sends(f"<iq type='get' id='1' to='localhost'><query xmlns='{ns.DISCO_INFO}'/></iq>")
        self.assertNotIn(ns.HTTP_UPLOAD, self.romeo.received()[0].toXml())

    def test_storeFails(self) -> None:
        """A store that fails is logged, and the request refused for now."""
        logged = Logged(self)
        self.patch(self.store, "usage", lambda owner: fail(StoreUnavailable("the disk")))
        self.assertRefused(self.request(), "internal-server-error", "wait")
        self.assertIn("uploads: the disk", logged.lines(logged.events[0]["log_level"]))

    def test_cleaning(self) -> None:
        """What has expired is removed from time to time, in slices, until the server ends."""
        for number in range(250):
            upload = Upload(f"{number:032d}", ROMEO, "x", "a/b", 1, 0, self.began)
            self.store.files[upload.id] = (upload, b"x")
        self.uploads.start()
        for left in (150, 50, 0):
            self.server.clock.advance(1)
            self.assertEqual(len(self.store.files), left)
        self.store_(1, expires=0)
        self.server.clock.advance(CLEANING)
        self.assertEqual(len(self.store.files), 0)
        self.uploads.stop()

    def test_forgotten(self) -> None:
        """With an account go its files and slots."""
        self.store_(10)
        self.store_(10, "juliet@localhost")
        self.request()
        self.successResultOf(Deferred.fromCoroutine(self.uploads.forget(jid.parse(ROMEO))))
        self.assertEqual(len(self.uploads.slots), 0)
        self.assertEqual([upload.owner for upload, _ in self.store.files.values()], ["juliet@localhost"])
