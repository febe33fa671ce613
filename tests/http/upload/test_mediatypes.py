# -*- test-case-name: tests.http.upload.test_mediatypes -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.upload.mediatypes}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.http.upload.mediatypes import OCTETS, disposition, essence, served


class MediaTypeTests(SynchronousTestCase):
    """Types, and what browsers may do with them."""

    def test_essence(self) -> None:
        """Parameters are left out, and what is no media type is told from one."""
        for text, expected in (
            ("image/PNG", "image/png"), (" text/plain; charset=utf-8 ", "text/plain"), ("a/b;c=\"d;e\"", "a/b"),
            ("a/b;", "a/b"), ("image", None), ("", None), ("a/b c", None), ("a/b\r\nX: y", None), ("a/\xe4", None),
            ("a/b;c=\"\r\n\"", None), ("a/" + "b" * 300, None),
        ):  # fmt: skip
            self.assertEqual(essence(text), expected, text)

    def test_served(self) -> None:
        """Only what cannot be a page, script or style keeps its type, and is shown."""
        for kind in ("image/png", "IMAGE/JPEG; x=y", "audio/ogg", "video/mp4"):
            self.assertEqual(served(kind), (kind.partition(";")[0].lower(), True))
        self.assertEqual(served("text/plain; charset=utf-16"), ("text/plain; charset=utf-8", True))
        for kind in (
            "text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "text/javascript", "text/css",
            "application/pdf", "video/x+xml", "multipart/x-mixed-replace", "junk", "", "image/png\r\nX: y",
        ):  # fmt: skip
            self.assertEqual(served(kind), (OCTETS, False))

    def test_disposition(self) -> None:
        """The name of the file is encoded (RFC 8187)."""
        self.assertEqual(disposition("très cool.jpg", True), "inline; filename*=UTF-8''tr%C3%A8s%20cool.jpg")
        self.assertEqual(disposition("a\"';\r\n", False), "attachment; filename*=UTF-8''a%22%27%3B%0D%0A")
