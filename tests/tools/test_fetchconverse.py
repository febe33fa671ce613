# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.tools.fetchconverse}, with an npm of the test."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import tarfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from muccore.tools import fetchconverse
from muccore.tools.fetchconverse import VERSION, CannotFetch, fetch, isCurrent

FILES = {
    "package/LICENSE": b"MPL", "package/package.json": b"{}", "package/dist/converse.min.js": b"export {}",
    "package/dist/converse.min.js.map": b"{}", "package/dist/converse.js": b"long", "package/dist/emoji.json": b"{}",
    "package/dist/images/logo/a.svg": b"<svg/>", "package/src/index.js": b"", "package/dist/../../../evil": b"x",
}  # fmt: skip


class FetchTests(SynchronousTestCase):
    """Fetching, and what can go wrong."""

    def setUp(self) -> None:
        """Make a package, and an npm that brings it."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.package = self.folder / "converse.js.tgz"
        with tarfile.open(self.package, "w:gz") as archive:
            for name, content in FILES.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        digest = base64.b64encode(hashlib.sha512(self.package.read_bytes()).digest()).decode()
        self.patch(fetchconverse, "_SHA512", digest)
        self.target = self.folder / "converse"
        self.npm = self.program(f'test "$1 $2" = "pack converse.js@{VERSION}" && cp {self.package.resolve()} .')

    def program(self, script: str) -> str:
        """Make a program."""
        path = self.folder.resolve() / f"npm{len(list(self.folder.iterdir()))}"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        return str(path)

    def test_fetch(self) -> None:
        """What pages load is put into the folder, with the licence, and replaces what was there."""
        self.target.mkdir()
        (self.target / "old.js").write_bytes(b"")
        self.assertFalse(isCurrent(self.target))
        fetch(self.npm, self.target)
        found = {str(path.relative_to(self.target)) for path in self.target.rglob("*") if path.is_file()}
        self.assertEqual(found, {"LICENSE", "VERSION", "converse.min.js", "emoji.json", "images/logo/a.svg"})
        self.assertTrue(isCurrent(self.target))

    def test_refused(self) -> None:
        """If npm fails, or brings another package, the folder is as before."""
        fetch(self.npm, self.target)
        before = sorted(os.listdir(self.target))
        for npm, reason in (
            (self.program("echo no route >&2; exit 1"), "no route"), (self.program("true"), "status 0"),
            (self.program("echo x > x.tgz"), "is not what was published"), ("/no/such/npm", "cannot be run"),
        ):  # fmt: skip
            self.assertIn(reason, str(self.assertRaises(CannotFetch, fetch, npm, self.target)))
        self.assertEqual(sorted(os.listdir(self.target)), before)

    def main(self, *argv: str) -> tuple[int, str, str]:
        """Run the command; return its status and what it prints."""
        out, errors = io.StringIO(), io.StringIO()
        self.patch(fetchconverse, "isCurrent", lambda: isCurrent(self.target))
        self.patch(fetchconverse, "fetch", lambda npm: fetch(npm, self.target))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            status = fetchconverse.main(argv)
        return status, out.getvalue(), errors.getvalue()

    def test_command(self) -> None:
        """It fetches once. Without npm it says in a line what is missing, which is no error if it is optional."""
        self.patch(fetchconverse, "findNPM", lambda: None)
        for argv, status in (((), 1), (("--optional",), 0)):
            found, out, errors = self.main(*argv)
            self.assertEqual((found, out, errors.count("\n")), (status, "", 1))
            self.assertIn("there is no npm (Debian: apt-get install npm", errors)
        self.assertEqual(self.main("--npm", self.npm)[0], 0)
        self.assertTrue(isCurrent(self.target))
        self.assertEqual(self.main("--npm", "/no/such/npm"), (0, "", ""))
