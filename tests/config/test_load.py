# -*- test-case-name: tests.config.test_load -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.load}."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.errors import ConfigError
from muccore.config.load import load, parse
from muccore.config.schema import OPTIONS
from tests.config import MINIMAL, PATH, problemsOf, settings, text


class LoadTests(SynchronousTestCase):
    """Reading files."""

    def test_file(self) -> None:
        """A file's relative paths start at its own folder, wherever the process stands and goes."""
        folder = FilePath(self.mktemp())
        folder.makedirs()
        path = folder.child("server.cfg")
        path.setContent(text())
        found = load(os.path.relpath(path.path))
        self.assertEqual(found.base, folder)
        self.assertEqual(found.tls.certificate, folder.child("server.crt"))
        self.assertEqual(found.path, os.path.relpath(path.path))

    def test_unreadable(self) -> None:
        """A file that cannot be read is one problem that says why."""
        nowhere = self.mktemp()
        for path, why in ((nowhere, "No such file or directory"), (os.curdir, "Is a directory"), ("a\0b", "null")):
            error = self.assertRaises(ConfigError, load, path)
            self.assertEqual(len(error.problems), 1)
            self.assertIn(why, str(error))
            self.assertNotIn("\n", str(error))

    def test_defaults(self) -> None:
        """What is not given has its default."""
        found = settings()
        self.assertEqual(found.c2s.listen, ("tcp:5222:interface=127.0.0.1",))
        self.assertEqual((found.c2s.tls, found.c2s.allowPlaintextAuth), ("required", False))
        self.assertEqual(found.limits.stanzaSizeUnauthenticated, 10000)
        self.assertEqual(found.transport.outboxLimit, 4 << 20)

    def test_lines(self) -> None:
        """The settings know the lines of what was given."""
        self.assertEqual(parse(text(), PATH).lines["server", "domain"], 2)
        self.assertEqual(len(settings().lines), sum(map(len, MINIMAL.values())))


class ProblemTests(SynchronousTestCase):
    """What is told about a file that cannot be used."""

    def test_badValue(self) -> None:
        """
        A bad value is told with file, line, section, key, what was found, what is allowed and what may have been meant.
        """
        error = self.assertRaises(ConfigError, parse, b"[c2s]\n\ntls = requird\n" + text(), PATH)
        self.assertEqual(
            str(error),
            f"{PATH}:3: [c2s] tls: found 'requird'; allowed: required, optional, off (did you mean 'required'?)",
        )

    def test_allAtOnce(self) -> None:
        """
        All problems are told at once, of form, names, values and what they are to each other, in the order of the file.
        """
        data = b"""\
stray = 1
[server]
name
domain = a..b
[c2s]
listen = tcp:5222:interface=127.0.0.1
  tcp:x
login_tries = many
[limit]
[tls]
certificat = x
certificate = x
private_key = y
[muc]
domain = rooms.example.org
history = 300
"""
        places = [problem.split(": found")[0].split(": no such")[0] for problem in problemsOf(data)]
        self.assertEqual(
            places,
            [
                ":1: stray",
                ":3: [server]",
                ":4: [server] domain",
                ":7: [c2s] listen",
                ":8: [c2s] login_tries",
                ":9: [limit]",
                ":11: [tls] certificat",
                ":16: [muc] history",
                ": [auth] backend",
                ": [storage] affiliations",
            ],
        )

    def test_unknownKey(self) -> None:
        """An unknown key is an error, with the keys there are and the likest of them."""
        (problem,) = problemsOf(text(transport={"oportunistic_writes": "no"}))
        self.assertTrue(
            problem.endswith(
                "[transport] oportunistic_writes: no such key; allowed: opportunistic_writes, outbox_limit "
                "(did you mean 'opportunistic_writes'?)"
            ),
            problem,
        )

    def test_keyOfAnotherSection(self) -> None:
        """A key that belongs elsewhere is sent there."""
        (problem,) = problemsOf(text(server={"listen": "tcp:5222"}))
        self.assertIn("(did you mean 'listen' in [c2s]?)", problem)

    def test_unknownSection(self) -> None:
        """An unknown section is an error, and its keys are not told one by one."""
        (problem,) = problemsOf(text() + b"\n[Limits]\nstanza_size = x\n")
        self.assertIn("[Limits]: no such section; allowed: server, c2s,", problem)
        self.assertIn("(did you mean 'limits'?)", problem)

    def test_missing(self) -> None:
        """A key that has to be given is told at its section, or without a line where that is missing too."""
        (problem,) = problemsOf(text(server={"domain": None}))
        self.assertTrue(problem.startswith(":1: [server] domain: found nothing, and there is no default; allowed: a"))
        self.assertEqual(
            [problem.split(": found")[0] for problem in problemsOf(b"")],
            [
                ": [server] domain",
                ": [auth] backend",
                ": [storage] affiliations",
                ": [muc] domain",
                ": [tls] certificate",
                ": [tls] private_key",
            ],
        )

    def test_emptyValue(self) -> None:
        """A key without a value is told as such."""
        (problem,) = problemsOf(text(c2s={"login_tries": ""}))
        self.assertIn("[c2s] login_tries: found nothing; allowed: a whole number", problem)

    def test_notText(self) -> None:
        """A file that is no text has that one problem."""
        self.assertEqual(
            problemsOf(b"\xff\xfe[\x00"), [":1: found the byte 0xff, which is not UTF-8; allowed: UTF-8 text"]
        )

    def test_twiceAndWrong(self) -> None:
        """A section that comes twice does not hide what is wrong in either part."""
        problems = problemsOf(text() + b"\n[muc]\nhistory = x\n[server]\nnam = y\n")
        self.assertEqual(len(problems), 4, problems)


_LINES = st.sampled_from(
    [f"[{section}]" for section, _ in OPTIONS]
    + [f"{name} = {key.default}" for (_, name), key in OPTIONS.items()]
    + ["domain = a", "  tcp:1", "backend = memory:", "affiliations = sqlite:x", "# x", "[", "=", " ", "\x85 = \x1b"]
)


class AnyFileTests(SynchronousTestCase):
    """Whatever stands in a file."""

    def check(self, data: bytes) -> None:
        """A file gives settings or problems of one line each, and no other error."""
        for problem in problemsOf(data):
            self.assertTrue(problem.isprintable(), problem)
            self.assertLess(len(problem), 1500)

    @given(st.binary(max_size=200))
    def test_bytes(self, data: bytes) -> None:
        """Any bytes at all."""
        self.check(data)

    @given(st.lists(_LINES, max_size=30), st.text(max_size=20))
    def test_lines(self, lines: list[str], odd: str) -> None:
        """Lines that are nearly right, in any order, with something odd in between."""
        self.check("\n".join([*lines, odd, *lines[::-1]]).encode("utf-8", "surrogatepass"))

    @given(st.sampled_from(sorted(OPTIONS)), st.text(max_size=40).filter(str.isprintable))
    def test_values(self, at: tuple[str, str], value: str) -> None:
        """Any value for any key."""
        section, name = at
        self.check(text(**{section: {name: value}}))
