# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.vcards}."""

from __future__ import annotations

import base64
import hashlib

from twisted.trial.unittest import SynchronousTestCase

from muccore.xmpp.errors import StanzaError
from muccore.xmpp.rendering import render
from muccore.xmpp.vcards import photoHash, photosOf, photoUpdate
from tests.routing.helpers import xml

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
HASH = hashlib.sha1(PNG).hexdigest()


def photo(data: bytes | str = PNG, type: str = "image/png") -> str:
    """A C{<PHOTO/>}."""
    encoded = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    kind = f"<TYPE>{type}</TYPE>" if type else ""
    return f"<PHOTO>{kind}<BINVAL>{encoded}</BINVAL></PHOTO>"


class VCardTests(SynchronousTestCase):
    """Photos and their hashes."""

    def hashes(self, children: str) -> list[str]:
        """The hashes of all photos."""
        return [photoHash(each) for each in photosOf(xml(f"<vCard xmlns='vcard-temp'>{children}</vCard>"))]

    def test_photos(self) -> None:
        """The hash is that of the data, whose lines may be of any length; other elements are no photos."""
        lines = base64.encodebytes(PNG).decode().replace("\n", "\r\n\t")
        self.assertEqual(self.hashes(f"<FN/>{photo()}<PHOTO xmlns='urn:x'/>{photo(lines, '')}"), [HASH, HASH])

    def test_none(self) -> None:
        """A photo without data is none."""
        self.assertEqual(self.hashes(f"<PHOTO/>{photo('')}<PHOTO><EXTVAL>http://x</EXTVAL></PHOTO>"), ["", "", ""])

    def test_invalid(self) -> None:
        """What is no image, or no Base64, has no hash."""
        for children, condition in ((photo(type="text/html"), "not-acceptable"), (photo("****"), "bad-request")):
            error = self.assertRaises(StanzaError, self.hashes, children)
            self.assertEqual(error.condition, condition)

    def test_update(self) -> None:
        """Presence has the hash, or an empty photo."""
        x = "<x xmlns='vcard-temp:x:update'>"
        self.assertEqual(render(photoUpdate("ab")).decode(), f"{x}<photo>ab</photo></x>")
        self.assertEqual(render(photoUpdate("")).decode(), f"{x}<photo/></x>")
