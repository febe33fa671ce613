# -*- test-case-name: tests.config.test_load -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.load}."""

from __future__ import annotations

import os
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.config import plugins
from muccore.config.errors import ConfigError
from muccore.config.load import load, parse
from muccore.config.schema import OPTIONS
from tests.config import MINIMAL, PATH, problemsOf, settings, text


class LoadTests(SynchronousTestCase):
    """L{load}"""

    def test_file(self) -> None:
        """Relative paths start at the file's folder, whatever the working directory."""
        folder = FilePath(self.mktemp())
        folder.makedirs()
        path = folder.child("server.cfg")
        path.setContent(text())
        found = load(os.path.relpath(path.path))
        self.assertEqual(found.base, folder)
        self.assertEqual(found.tls.certificate, folder.child("server.crt"))
        self.assertEqual(found.path, os.path.relpath(path.path))

    def test_unreadable(self) -> None:
        """A file that cannot be read is one problem, with the reason."""
        nowhere = self.mktemp()
        for path, why in ((nowhere, "No such file or directory"), (os.curdir, "Is a directory"), ("a\0b", "null")):
            error = self.assertRaises(ConfigError, load, path)
            self.assertEqual(len(error.problems), 1)
            self.assertIn(why, str(error))
            self.assertNotIn("\n", str(error))

    def test_lines(self) -> None:
        """The settings have the lines of the keys in the file."""
        self.assertEqual(parse(text(), PATH).lines["server", "domain"], 2)
        self.assertEqual(len(settings().lines), sum(map(len, MINIMAL.values())))


class ProblemTests(SynchronousTestCase):
    """The problems of a file."""

    def test_badValue(self) -> None:
        """A bad value is reported with file, line, section, key, what was found, what is allowed and a suggestion."""
        error = self.assertRaises(ConfigError, parse, b"[c2s]\n\ntls = requird\n" + text(), PATH)
        self.assertEqual(
            str(error),
            f"{PATH}:3: [c2s] tls: found 'requird'; allowed: required, optional, off (did you mean 'required'?)",
        )

    def test_allAtOnce(self) -> None:
        """All problems of syntax, names, values and their relations are reported, in the order of the file."""
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
                ": [storage] rooms",
            ],
        )

    def test_unknownKey(self) -> None:
        """An unknown key is reported with the known ones and the most similar."""
        (problem,) = problemsOf(text(transport={"oportunistic_writes": "no"}))
        self.assertTrue(
            problem.endswith(
                "[transport] oportunistic_writes: no such key; allowed: opportunistic_writes, outbox_limit, "
                "outboxes_limit (did you mean 'opportunistic_writes'?)"
            ),
            problem,
        )

    def test_keyOfAnotherSection(self) -> None:
        """A key of another section is reported with that section."""
        (problem,) = problemsOf(text(server={"listen": "tcp:5222"}))
        self.assertIn("(did you mean 'listen' in [c2s]?)", problem)

    def test_unknownSection(self) -> None:
        """An unknown section is reported without its keys."""
        (problem,) = problemsOf(text() + b"\n[Limits]\nstanza_size = x\n")
        self.assertIn("[Limits]: no such section; allowed: server, c2s,", problem)
        self.assertIn("(did you mean 'limits'?)", problem)

    def test_handlerSections(self) -> None:
        """
        The section of a handler may have any keys; that of a handler which is not named is an error, unless the names
        cannot be read.
        """
        factory = SimpleNamespace(name="hello")
        self.patch(plugins, "getPlugins", lambda _: [factory])
        sections = {"server": {"extra_handlers": "hello:x"}, "handler:hello": {"word": "a\n b", "empty": ""}}
        found = settings(**sections)
        self.assertEqual(found.handlers, {"hello": {"word": "a\nb", "empty": ""}})
        self.assertEqual(found.problem("handler:hello", "word", "x").line, found.lines["handler:hello", "word"])
        self.assertEqual(settings().handlers, {})
        (problem,) = problemsOf(text(**sections, **{"handler:helo": {"word": "a"}}))
        self.assertTrue(
            problem.endswith(
                "[handler:helo]: extra_handlers names no handler 'helo'; allowed: handler:hello "
                "(did you mean 'hello'?)"
            ),
            problem,
        )
        (problem,) = problemsOf(text(server={"extra_handlers": "helo"}, **{"handler:hello": {}}))
        self.assertIn("no handler 'helo' is installed", problem)

    def test_missing(self) -> None:
        """A missing required key is reported at its section, or without a line if that is missing too."""
        (problem,) = problemsOf(text(server={"domain": None}))
        self.assertTrue(problem.startswith(":1: [server] domain: found nothing, and there is no default; allowed: a"))
        self.assertEqual(
            [problem.split(": found")[0] for problem in problemsOf(b"")],
            [
                ": [server] domain",
                ": [muc] domain",
                ": [tls] certificate",
                ": [tls] private_key",
                ": [auth] backend",
                ": [storage] rooms",
            ],
        )

    def test_emptyValue(self) -> None:
        """A key without a value is reported."""
        (problem,) = problemsOf(text(c2s={"login_tries": ""}))
        self.assertIn("[c2s] login_tries: found nothing; allowed: a whole number", problem)

    def test_notText(self) -> None:
        """A file that is not text has one problem."""
        self.assertEqual(
            problemsOf(b"\xff\xfe[\x00"), [":1: found the byte 0xff, which is not UTF-8; allowed: UTF-8 text"]
        )

    def test_twiceAndWrong(self) -> None:
        """Both parts of a repeated section are checked."""
        problems = problemsOf(text() + b"\n[muc]\nhistory = x\n[server]\nnam = y\n")
        self.assertEqual(len(problems), 4, problems)


_LINES = st.sampled_from(
    [f"[{section}]" for section, _ in OPTIONS]
    + [f"{name} = {key.default}" for (_, name), key in OPTIONS.items()]
    + ["[host a.example]", "[host b]", "muc = a", "[handler:hello]", "extra_handlers = hello"]
    + ["domain = a", "  tcp:1", "backend = memory:", "affiliations = sqlite:x", "# x", "[", "=", " ", "\x85 = \x1b"]
)


class AnyFileTests(SynchronousTestCase):
    """Arbitrary files."""

    def check(self, data: bytes) -> None:
        """A file has settings or problems of one line each, and causes no other error."""
        for problem in problemsOf(data):
            self.assertTrue(problem.isprintable(), problem)
            self.assertLess(len(problem), 1500)

    @given(st.binary(max_size=200))
    def test_bytes(self, data: bytes) -> None:
        """Arbitrary bytes."""
        self.check(data)

    @given(st.lists(_LINES, max_size=30), st.text(max_size=20))
    def test_lines(self, lines: list[str], odd: str) -> None:
        """Nearly valid lines, in any order, with arbitrary text between."""
        self.check("\n".join([*lines, odd, *lines[::-1]]).encode("utf-8", "surrogatepass"))

    @given(st.sampled_from(sorted(OPTIONS)), st.text(max_size=40).filter(str.isprintable))
    def test_values(self, at: tuple[str, str], value: str) -> None:
        """Arbitrary values of every key."""
        section, name = at
        self.check(text(**{section: {name: value}}))
