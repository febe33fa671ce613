# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.external.program}, with processes."""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, gatherResults
from twisted.internet.task import deferLater
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.interfaces import BadDescription, StoreUnavailable
from muccore.storage.external import backend
from muccore.storage.external.program import ProgramAuth, makeProgramAuth
from muccore.testing.contracts import AuthBackendContract
from tests.storage.external import checker

JULIET, RIGHT = "juliet@localhost", checker.PASSWORDS["juliet@localhost"]


class ProgramTests(TestCase):
    """L{ProgramAuth}"""

    timeout = 60

    def setUp(self) -> None:
        """Make an empty log of requests."""
        self.log = FilePath(self.mktemp())
        self.log.setContent(b"")

    async def opened(self, **options: Any) -> ProgramAuth:
        """Open the backend, with one process that has 20 seconds."""
        values = {"processes": 1, "timeout": 20.0, "isuser": True, **options}
        accounts = ProgramAuth([sys.executable, checker.__file__, self.log.path], values, reactor)
        await accounts.open()
        self.addCleanup(accounts.close)
        return accounts

    @property
    def requests(self) -> list[tuple[int, str]]:
        """The process and the text of each request."""
        lines = self.log.getContent().decode().splitlines()
        return [(int(pid), text) for pid, _, text in (line.partition(" ") for line in lines)]

    async def test_answers(self) -> None:
        """Right and wrong passwords, of users of several hosts, and whether there are these."""
        accounts = await self.opened()
        self.assertIs(await accounts.checkPassword(JULIET, RIGHT), True)
        self.assertIs(await accounts.checkPassword(JULIET, "wrong"), False)
        self.assertIs(await accounts.checkPassword("juliet@elsewhere.lit", "p4ris"), True)
        self.assertIs(await accounts.checkPassword("juliet@elsewhere.lit", RIGHT), False)
        self.assertIs(await accounts.hasAccount("romeo@localhost"), True)
        self.assertIs(await accounts.hasAccount("tybalt@localhost"), False)
        self.assertEqual(self.requests[0][1], repr(f"auth:juliet:localhost:{RIGHT}"))
        self.assertEqual(self.requests[-1][1], repr("isuser:tybalt:localhost"))

    async def test_pieces(self) -> None:
        """An answer may come in pieces."""
        accounts = await self.opened()
        self.assertIs(await accounts.checkPassword(JULIET, "pieces"), True)

    async def test_crossed(self) -> None:
        """Many at once get their own answers, whichever process gives them."""
        accounts = await self.opened(processes=3)
        asked = [(account, each) for account, right in checker.PASSWORDS.items() for each in (right, "wrong")] * 10
        answers = await gatherResults([accounts.checkPassword(*each) for each in asked])
        self.assertEqual(answers, [checker.PASSWORDS[account] == password for account, password in asked])
        self.assertGreater(len({pid for pid, _ in self.requests}), 1)

    async def test_notSent(self) -> None:
        """What the program could misunderstand, and passwords that cannot be, are refused without asking it."""
        accounts = await self.opened()
        for account, password in (
            ("a:b@localhost", "x"), ("a\0b@localhost", "x"), ("a\n@localhost", "x"), ("a@[::1]", "x"),
            ("@localhost", "x"), (JULIET, ""),
            (JULIET, "\u00ad"), (JULIET, "a\0b"), (JULIET, "bell\x07"), (JULIET, "x" * 4097),
        ):  # fmt: skip
            self.assertIs(await accounts.checkPassword(account, password), False)
            if account != JULIET:
                self.assertIs(await accounts.hasAccount(account), False)
        self.assertEqual(self.requests, [])

    async def test_ended(self) -> None:
        """A process that ends is started again, and what it was asked is asked again: once."""
        accounts = await self.opened()
        self.assertIs(await accounts.checkPassword(JULIET, "end once"), True)
        self.assertEqual(len({pid for pid, _ in self.requests}), 2)
        for password, reason in (("end", "exit status 3"), ("half", "exit status 0")):
            self.log.setContent(b"")
            with self.assertRaisesRegex(StoreUnavailable, reason):
                await accounts.checkPassword(JULIET, password)
            self.assertEqual(len(self.requests), 2)
            self.assertIs(await accounts.checkPassword(JULIET, RIGHT), True)

    async def test_garbage(self) -> None:
        """A process that writes anything else is replaced."""
        accounts = await self.opened()
        for password in ("garbage", "more"):
            with self.assertRaisesRegex(StoreUnavailable, "no answer"):
                await accounts.checkPassword(JULIET, password)
            self.assertIs(await accounts.checkPassword(JULIET, RIGHT), True)

    async def test_slow(self) -> None:
        """One that does not answer is ended after its time, and not asked that again; the next one answers."""
        accounts = await self.opened(timeout=0.5)
        with self.assertRaisesRegex(StoreUnavailable, "within 0.5 s"):
            await accounts.checkPassword(JULIET, "slow")
        self.assertEqual(len(self.requests), 1)
        again = await self.opened()
        self.assertIs(await again.checkPassword(JULIET, RIGHT), True)

    async def test_busy(self) -> None:
        """While the only process does not answer, others wait for a limited time."""
        accounts = await self.opened(timeout=1.0)
        asked = [accounts.checkPassword(JULIET, each) for each in ("slow", "slow", RIGHT)]
        for each in asked:
            each.addErrback(lambda failure: failure.trap(StoreUnavailable))
        answers = await gatherResults(asked)
        self.assertEqual(answers[0], StoreUnavailable)

    async def test_cancelled(self) -> None:
        """A check that is cancelled is not made if it waits, and its answer goes to nobody if it is being made."""
        accounts = await self.opened()
        begun, waiting, last = (accounts.checkPassword(JULIET, each) for each in ("wrong", "waiting", RIGHT))
        for each in (begun, waiting):
            each.cancel()
            with self.assertRaises(CancelledError):
                await each
        self.assertIs(await last, True)
        self.assertEqual([text for _, text in self.requests], [repr(f"auth:juliet:localhost:{each}")
                                                               for each in ("wrong", RIGHT)])  # fmt: skip

    async def test_cannotTell(self) -> None:
        """A program that cannot tell who exists is not asked; it is as if everybody did."""
        accounts = await self.opened(isuser=False)
        self.assertIs(await accounts.hasAccount("tybalt@localhost"), True)
        self.assertEqual(self.requests, [])

    async def test_remembered(self) -> None:
        """Who exists is remembered for a while; passwords are not."""
        accounts = await self.opened()
        for _ in range(2):
            self.assertIs(await accounts.hasAccount("romeo@localhost"), True)
            self.assertIs(await accounts.checkPassword(JULIET, RIGHT), True)
        self.assertIs(await accounts.hasAccount(JULIET), True)
        self.assertEqual(len(self.requests), 3)

    async def test_bounded(self) -> None:
        """Above a limit, requests fail at once."""
        self.patch(backend, "OUTSTANDING_LIMIT", 2)
        accounts = await self.opened()
        asked = [accounts.checkPassword(JULIET, RIGHT) for _ in range(2)]
        with self.assertRaisesRegex(StoreUnavailable, "wait already"):
            await accounts.checkPassword(JULIET, RIGHT)
        self.assertEqual(await gatherResults(asked), [True, True])

    async def test_closed(self) -> None:
        """Requests that are outstanding at the end fail, and no process is left."""
        accounts = await self.opened()
        self.assertIs(await accounts.checkPassword(JULIET, RIGHT), True)
        slow = accounts.checkPassword(JULIET, "wrong")
        await accounts.close()
        with self.assertRaises(StoreUnavailable):
            await slow
        with self.assertRaises(ProcessLookupError):
            os.kill(self.requests[0][0], 0)

    async def test_hopeless(self) -> None:
        """Where every process ends before it has answered anything, requests fail at once."""
        values = {"processes": 1, "timeout": 20.0, "isuser": True}
        accounts = ProgramAuth([sys.executable, "-c", "raise SystemExit(7)"], values, reactor)
        await accounts.open()
        self.addCleanup(accounts.close)
        for _ in range(2):
            with self.assertRaisesRegex(StoreUnavailable, "exit status 7"):
                await accounts.checkPassword(JULIET, RIGHT)

    async def test_child(self) -> None:
        """One that ends while a child of it has its output is replaced all the same."""
        script = f"echo $$ >> {self.log.path}; sleep 30 & exec {sys.executable} -c 'raise SystemExit(7)'"
        accounts = ProgramAuth(["/bin/sh", "-c", script], {"processes": 1, "timeout": 20.0, "isuser": True}, reactor)
        await accounts.open()
        self.addCleanup(accounts.close)
        while len(self.log.getContent().split()) < 2:
            await deferLater(reactor, 0.05)

    async def test_nothingSecret(self) -> None:
        """Neither an error nor a representation has the password."""
        accounts = await self.opened()
        with self.assertRaises(StoreUnavailable) as caught:
            await accounts.checkPassword(JULIET, "garbage")
        self.assertNotIn("garbage", f"{caught.exception!r} {accounts!r}")


class DescriptionTests(SynchronousTestCase):
    """L{makeProgramAuth}"""

    def test_made(self) -> None:
        """A path is relative to the folder of the configuration, and may have arguments; options follow."""
        made = makeProgramAuth("check 'a b'\nprocesses = 4\nisuser = no", FilePath("/etc/muccore"), reactor)
        self.assertEqual(made.place, "/etc/muccore/check")
        self.assertEqual(made.arguments, ["/etc/muccore/check", "a b"])

    def test_refused(self) -> None:
        """What is wrong is said, with its line."""
        for text, problem, line in (
            ("", "needs the path", 0),
            ("'check", "needs the path", 0),
            ("check\nprocesses = 0", "allowed: a number, 1 to 64", 1),
            ("check\ntimeout = 5\ntime = 3", r"did you mean timeout\?", 2),
        ):
            with self.assertRaisesRegex(BadDescription, problem) as caught:
                makeProgramAuth(text, FilePath("/etc/muccore"), reactor)
            self.assertEqual(caught.exception.line, line)

    def test_probe(self) -> None:
        """The preflight finds a program that is missing or cannot be executed."""
        file = FilePath(self.mktemp())
        accounts = makeProgramAuth(file.path, FilePath("/"), reactor)
        with self.assertRaisesRegex(StoreUnavailable, "no such program"):
            accounts.probe()
        file.setContent(b"")
        file.chmod(0o600)
        with self.assertRaisesRegex(StoreUnavailable, "cannot be executed"):
            accounts.probe()


class ContractTests(AuthBackendContract, TestCase):
    """The contract."""

    def makeStore(self, place: FilePath[str]) -> ProgramAuth:
        """See L{AuthBackendContract}."""
        values = {"processes": 2, "timeout": 20.0, "isuser": True}
        return ProgramAuth([sys.executable, checker.__file__, f"{place.path}.log"], values, reactor)
