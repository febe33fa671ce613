# -*- test-case-name: tests.operations.test_ctl -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.operations.ctl}."""

from __future__ import annotations

import getpass
import io
import os
import pty
import select
import subprocess
import sys

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.config import plugins
from muccore.config.load import DEFAULT_PATH, load
from muccore.im.accountrecords import DISABLED, REMOVAL, AccountRecords
from muccore.interfaces import RosterChange, RosterItem, StoreUnavailable
from muccore.operations import ctl
from muccore.server import stores
from muccore.storage.memory import MemoryAccounts
from muccore.storage.memoryroster import MemoryRosters
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.storage.sqlite.accounts import SQLiteAccounts
from muccore.storage.sqlite.archive import SQLiteArchive
from muccore.tap import Options
from muccore.testing.contracts.archivequeries import item
from muccore.testing.doubles import ThreadlessReactor
from muccore.xmpp.scramkeys import ScramKeys

CONFIGURATION = """\
[server]
domain = example.org
[c2s]
tls = off
[auth]
backend = {backend}
[storage]
affiliations = memory:
[muc]
domain = rooms.example.org
"""


ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
"""Lets a process of its own find the same modules."""


def configure(folder: str, backend: str) -> str:
    """
    Write a configuration file.

    @return: its path.
    """
    base = FilePath(folder)
    base.makedirs()
    path = base.child("server.cfg")
    path.setContent(CONFIGURATION.format(backend=backend).encode())
    return path.path


class Terminal(io.StringIO):
    """A standard input that is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


class MainTests(SynchronousTestCase):
    """The command with a store in memory."""

    def setUp(self) -> None:
        """Replace the configured store."""
        self.path = configure(self.mktemp(), "sqlite:accounts.db")
        self.accounts = MemoryAccounts(ThreadlessReactor())
        self.closed = 0
        self.patch(self.accounts, "close", self.close)
        self.rosters, self.documents = MemoryRosters(), MemoryUserData()
        made = {"rosters": self.rosters, "userdata": self.documents}
        self.patch(stores, "makeStore", lambda kind, *description: made.get(kind, self.accounts))

    def close(self) -> Deferred[None]:
        """Count the call; keep the content."""
        self.closed += 1
        return succeed(None)

    def run_(self, *argv: str, stdin: bytes = b"") -> tuple[int, str, str]:
        """
        Run the command.

        @return: exit status, output, errors.
        """
        self.patch(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        return self.runHere(*argv)

    def runHere(self, *argv: str) -> tuple[int, str, str]:
        """Run the command with the present standard input."""
        out, err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        status = ctl.main(argv, lambda function: self.successResultOf(function()))
        return status, out.getvalue(), err.getvalue()

    def users(self) -> list[str]:
        """The existing accounts."""
        return self.successResultOf(self.accounts.users())

    def hasPassword(self, user: str, password: str) -> bool:
        """Whether an account has a password."""
        return self.successResultOf(self.accounts.checkPassword(user, password))

    def assertRefused(self, result: tuple[int, str, str], *words: str) -> None:
        """Check that it exited with status 1 and one line on standard error."""
        status, out, err = result
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, r"\Amuccorectl: [^\n]+\n\Z")
        for word in words:
            self.assertIn(word, err)

    def test_addUser(self) -> None:
        """C{adduser} adds an account with the password from standard input."""
        result = self.run_("-c", self.path, "adduser", "romeo", stdin=b"juliet's\n")
        self.assertEqual(result, (0, "romeo@example.org: added\n", ""))
        self.assertEqual(self.users(), ["romeo@example.org"])
        self.assertTrue(self.hasPassword("romeo@example.org", "juliet's"))
        self.assertEqual(self.closed, 1)

    def test_configurationBehindTheCommand(self) -> None:
        """C{-c} and C{--config} are accepted after the command too."""
        self.assertEqual(self.run_("adduser", "romeo", "-c", self.path, stdin=b"a")[0], 0)
        self.assertEqual(self.run_("listusers", "--config", self.path), (0, "romeo@example.org\n", ""))
        self.assertEqual(self.run_("--config=" + self.path, "listusers"), (0, "romeo@example.org\n", ""))

    def test_firstLineOnly(self) -> None:
        """The password is the first line without its end; other white space is part of it."""
        for number, data in enumerate((b" a b \nother\n", b" a b \r\n", b" a b ")):
            self.assertEqual(self.run_("-c", self.path, "adduser", f"u{number}", stdin=data)[0], 0)
            self.assertTrue(self.hasPassword(f"u{number}@example.org", " a b "))

    def test_names(self) -> None:
        """A name is prepared as a localpart, alone or with the server's domain."""
        for name in ("Romeo", "Mercutio@Example.ORG", "Éric"):
            self.assertEqual(self.run_("-c", self.path, "adduser", name, stdin=b"x\n")[0], 0)
        self.assertEqual(self.users(), ["mercutio@example.org", "romeo@example.org", "éric@example.org"])

    def test_badNames(self) -> None:
        """An invalid name, or one of another domain, is refused before asking for a password."""
        self.patch(ctl, "_password", lambda user: self.fail("asked"))
        for name in ("", "ro meo", "@example.org", "a/b", "a@example.org/b", "x" * 2000, "\udcff", "a@"):
            self.assertRefused(self.run_("-c", self.path, "adduser", name), "is no name of an account")
        self.assertRefused(
            self.run_("-c", self.path, "adduser", "romeo@example.net"), "the accounts of this server are at example.org"
        )

    def test_addTwice(self) -> None:
        """An existing account is refused before asking for a password, and keeps its own."""
        self.run_("-c", self.path, "adduser", "romeo", stdin=b"a\n")
        self.patch(ctl, "_password", lambda user: self.fail("asked"))
        self.assertRefused(
            self.run_("-c", self.path, "adduser", "ROMEO"), "romeo@example.org: the account exists already"
        )
        self.assertTrue(self.hasPassword("romeo@example.org", "a"))
        self.assertEqual(self.closed, 2)

    def test_passwd(self) -> None:
        """C{passwd} changes a password."""
        self.run_("-c", self.path, "adduser", "romeo", stdin=b"a\n")
        result = self.run_("-c", self.path, "passwd", "romeo", stdin=b"b\n")
        self.assertEqual(result, (0, "romeo@example.org: password changed\n", ""))
        self.assertTrue(self.hasPassword("romeo@example.org", "b"))
        self.assertFalse(self.hasPassword("romeo@example.org", "a"))

    def test_delUser(self) -> None:
        """C{deluser} deletes an account and asks for no password."""
        self.run_("-c", self.path, "adduser", "romeo", stdin=b"a\n")
        status, out, err = self.run_("-c", self.path, "deluser", "romeo")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(out, "romeo@example.org: deleted; contacts and rooms are told when the server starts\n")
        self.assertEqual(self.users(), [])

    def test_disableUser(self) -> None:
        """C{disableuser} and C{enableuser} write it down for the server."""
        self.run_("-c", self.path, "adduser", "romeo", stdin=b"a\n")
        for command, keys in (("disableuser", ["romeo"]), ("enableuser", [])):
            result = self.run_("-c", self.path, command, "romeo")
            self.assertEqual(result, (0, f"romeo@example.org: {command[:-4]}d\n", ""))
            self.documents.open()
            self.assertEqual(self.successResultOf(self.documents.keys("example.org", DISABLED)), keys)
            self.assertRefused(self.run_("-c", self.path, command, "nobody"), "no such account")

    def test_addAfterRemoval(self) -> None:
        """A name that is kept from others is given away by C{adduser}, which says so, once."""
        for number, lines in ((1, 1), (2, 2)):
            status, out, _ = self.run_("-c", self.path, "adduser", "romeo", stdin=b"a\n")
            self.assertEqual((status, out.count("\n")), (0, lines), number)
            self.run_("-c", self.path, "deluser", "romeo")
        self.assertIn("removed before", out)

    def test_invite(self) -> None:
        """C{invite} prints a URI, for any account or one, if there is registration."""
        self.assertRefused(self.run_("-c", self.path, "invite"), "[registration] mode")
        with open(self.path, "a") as file:
            file.write("[registration]\nmode = invited\n")
        self.run_("-c", self.path, "adduser", "romeo", stdin=b"a\n")
        for name, address in (([], "example.org"), (["juliet"], "juliet@example.org")):
            status, out, err = self.run_("-c", self.path, "invite", *name)
            self.assertEqual((status, err), (0, ""))
            self.assertRegex(out, rf"^xmpp:{address}\?register;preauth=[A-Za-z0-9]{{24}}\n$")
        for name in ("romeo", "juliet"):
            self.assertRefused(self.run_("-c", self.path, "invite", name), "or an invitation to it")

    def test_interruptedRemoval(self) -> None:
        """What C{deluser} has begun only, C{deluser} finishes; meanwhile the name cannot be added."""
        self.run_("-c", self.path, "adduser", "romeo", stdin=b"a\n")
        self.documents.open()
        self.successResultOf(
            Deferred.fromCoroutine(AccountRecords(self.documents, "example.org").beginRemoval("romeo", 0))
        )
        self.accounts.delete("romeo@example.org")
        self.assertRefused(self.run_("-c", self.path, "adduser", "romeo", stdin=b"a\n"), "being removed")
        self.assertEqual(self.run_("-c", self.path, "deluser", "romeo")[0], 0)
        self.assertEqual(self.run_("-c", self.path, "adduser", "romeo", stdin=b"a\n")[0], 0)

    def test_delUserData(self) -> None:
        """
        What they have stored goes as well: somebody else may get the name. The contacts stay until the server starts,
        which tells them. What is kept under the name of an account that does not exist stays.
        """
        for store in (self.documents, self.rosters):
            store.open()
        for user in ("romeo", "juliet", "nobody"):
            self.rosters.change(f"{user}@example.org", RosterChange("e", 1, 0, {"nurse@x": RosterItem()}))
            self.documents.change(f"{user}@example.org", {("k", "a"): b"1"})
        for user in ("romeo", "juliet"):
            self.run_("-c", self.path, "adduser", user, stdin=b"a\n")
        for user in ("romeo", "nobody"):
            self.run_("-c", self.path, "deluser", user)
        for store in (self.documents, self.rosters):
            store.open()
        self.assertEqual(self.successResultOf(self.documents.keys("example.org", REMOVAL)), ["romeo"])
        for user, keys in (("romeo", []), ("juliet", ["a"]), ("nobody", ["a"])):
            self.assertEqual(list(self.successResultOf(self.rosters.load(f"{user}@example.org")).rows), ["nurse@x"])
            self.assertEqual(self.successResultOf(self.documents.keys(f"{user}@example.org", "k")), keys)

    def test_listUsers(self) -> None:
        """C{listusers} prints the accounts, sorted, one a line; nothing if there are none."""
        self.assertEqual(self.run_("-c", self.path, "listusers"), (0, "", ""))
        for name in ("romeo", "benvolio"):
            self.run_("-c", self.path, "adduser", name, stdin=b"a\n")
        self.assertEqual(self.run_("-c", self.path, "listusers"), (0, "benvolio@example.org\nromeo@example.org\n", ""))

    def test_noSuchUser(self) -> None:
        """A missing account can be neither changed nor deleted, and no password is asked for."""
        self.patch(ctl, "_password", lambda user: self.fail("asked"))
        for command in ("passwd", "deluser"):
            result = self.run_("-c", self.path, command, "romeo", stdin=b"a\n")
            self.assertRefused(result, "romeo@example.org: there is no such account")

    def test_badPasswords(self) -> None:
        """A password that is missing, too long, not UTF-8 or not allowed is refused and never shown."""
        for data, words in (
            (b"", "no password was given"),
            (b"\nsecret\n", "no password was given"),
            (b"secret" * 1000, "longer than 4096 bytes"),
            (b"secret\xff\n", "not UTF-8"),
            (b"secret\x07\n", "this password cannot be used: prohibited character"),
        ):
            result = self.run_("-c", self.path, "adduser", "romeo", stdin=data)
            self.assertRefused(result, words)
            self.assertNotIn("secret", result[2])
        self.assertEqual(self.users(), [])
        self.run_("-c", self.path, "adduser", "romeo", stdin=b"a\n")
        self.assertRefused(
            self.run_("-c", self.path, "passwd", "romeo", stdin=b"\x07\n"), "this password cannot be used"
        )

    def test_noStandardInput(self) -> None:
        """Missing standard input is reported."""
        self.patch(sys, "stdin", None)
        self.assertRefused(self.runHere("-c", self.path, "adduser", "romeo"), "no standard input")

    def test_prompt(self) -> None:
        """At a terminal the password is asked for twice, by the account's name."""
        asked: list[str] = []

        def answer(prompt: str) -> str:
            asked.append(prompt)
            return "a"

        self.patch(getpass, "getpass", answer)
        self.patch(sys, "stdin", Terminal())
        self.assertEqual(self.runHere("-c", self.path, "adduser", "romeo")[0], 0)
        self.assertEqual(asked, ["Password for romeo@example.org: ", "Once more: "])
        self.assertTrue(self.hasPassword("romeo@example.org", "a"))

    def test_promptDiffers(self) -> None:
        """Two different answers change nothing."""
        answers = iter(["a", "b"])
        self.patch(getpass, "getpass", lambda prompt: next(answers))
        self.patch(sys, "stdin", Terminal())
        self.assertRefused(self.runHere("-c", self.path, "adduser", "romeo"), "the two passwords differ")
        self.assertEqual((self.users(), self.closed), ([], 1))

    def test_promptLeft(self) -> None:
        """Leaving the prompt is reported without a traceback."""
        for left, words in (
            (EOFError(), "no password was given"),
            (KeyboardInterrupt(), "no password was given"),
            (UnicodeDecodeError("ascii", b"\xff", 0, 1, "x"), "not in the terminal's encoding"),
        ):

            def leave(prompt: str, left: BaseException = left) -> str:
                raise left

            self.patch(getpass, "getpass", leave)
            self.patch(sys, "stdin", Terminal())
            self.assertRefused(self.runHere("-c", self.path, "adduser", "romeo"), words)

    def test_storeTrouble(self) -> None:
        """The error of a store that cannot be opened is printed, before asking for a password."""
        self.patch(self.accounts, "open", lambda: fail(StoreUnavailable("x.db: it is locked")))
        self.patch(ctl, "_password", lambda user: self.fail("asked"))
        for command in (["listusers"], ["adduser", "romeo"]):
            result = self.run_("-c", self.path, *command)
            self.assertEqual(result, (1, "", "muccorectl: x.db: it is locked\n"))

    def test_defaultConfiguration(self) -> None:
        """Without C{-c} it reads the same file as twistd."""
        self.assertEqual(Options()["config"], DEFAULT_PATH)  # type: ignore[no-untyped-call]
        read: list[str] = []
        self.patch(ctl, "load", lambda path: read.append(path) or load(self.path))
        self.assertEqual(self.run_("listusers"), (0, "", ""))
        self.assertEqual(read, [DEFAULT_PATH])

    def test_interrupted(self) -> None:
        """An interrupted operation is not a success."""
        err = io.StringIO()
        self.patch(sys, "stderr", err)
        self.assertEqual(ctl.main(["-c", self.path, "listusers"], lambda function: None), 1)
        self.assertIn("muccorectl: interrupted", err.getvalue())

    def test_usage(self) -> None:
        """A wrong command line exits with status 2 and the usage."""
        for argv in (
            [],
            ["-c", self.path],
            ["-c", self.path, "addusers", "romeo"],
            ["-c", self.path, "adduser"],
            ["-c", self.path, "adduser", "romeo", "secret"],
            ["-c", self.path, "listusers", "romeo"],
        ):
            status, out, err = self.run_(*argv)
            self.assertEqual((status, out), (2, ""))
            self.assertTrue(err.startswith("usage: muccorectl"), err)

    def test_help(self) -> None:
        """The help describes every operation."""
        status, out, _ = self.run_("--help")
        self.assertEqual(status, 0)
        for operation in ctl.OPERATIONS:
            self.assertIn(operation.name, out)
            self.assertIn(" ".join(operation.help.split()), " ".join(out.split()))

    def test_badConfiguration(self) -> None:
        """An invalid configuration is reported as the server does, one line for each problem."""
        FilePath(self.path).setContent(CONFIGURATION.format(backend="sqlit:x\n[limit]").encode())
        status, out, err = self.run_("-c", self.path, "listusers")
        self.assertEqual((status, out), (1, ""))
        lines = err.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[0].startswith(f"{self.path}:6: [auth] backend: found 'sqlit:x'"), lines)

    def test_secretsAreNoArguments(self) -> None:
        """No operation takes a secret on the command line."""
        for operation in ctl.OPERATIONS:
            for argument in operation.arguments:
                self.assertEqual(argument.secret, argument.name == "password")


class BackendTests(SynchronousTestCase):
    """Backends that keep no accounts."""

    def test_refused(self) -> None:
        """
        A backend that accepts everybody, or keeps its accounts in another process, cannot be managed; the line says
        where it is configured.
        """
        for backend in ("insecure:", "memory:"):
            path = configure(self.mktemp(), backend)
            err = io.StringIO()
            self.patch(sys, "stderr", err)
            status = ctl.main(["-c", path, "listusers"], lambda function: self.fail("ran"))
            self.assertEqual(status, 1)
            self.assertEqual(
                err.getvalue(),
                f"muccorectl: {path}:6: [auth] backend: found {backend!r}, which keeps no accounts that can be managed "
                "from here; use sqlite:PATH\n",
            )


    def test_elsewhere(self) -> None:
        """For accounts that others manage it says so, without the options of the backend."""
        path = configure(self.mktemp(), "program:/bin/true\n    timeout = 5")
        with open(path, "a") as file:
            file.write("[host example.net]\naccounts = memory:\n[http]\nlisten = tcp:0:interface=127.0.0.1\n")
        err = io.StringIO()
        self.patch(sys, "stderr", err)
        self.assertEqual(ctl.main(["-c", path, "listusers"], lambda function: self.fail("ran")), 1)
        self.assertEqual(
            err.getvalue(),
            f"muccorectl: {path}:6: [auth] backend: found 'program:/bin/true', which only checks passwords; manage the "
            "accounts where it asks, or use sqlite:PATH\n",
        )


class ProcessTests(TestCase):
    """The command as a process, on a database."""

    def setUp(self) -> None:
        """Write a configuration."""
        self.path = configure(self.mktemp(), "sqlite:accounts.db")
        self.database = FilePath(self.path).sibling("accounts.db")

    def command(
        self,
        *argv: str,
        stdin: bytes = b"",
        stdout: int = subprocess.PIPE,
        folder: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> tuple[int, bytes | None, bytes]:
        """
        Run the command.

        @return: exit status, output, errors.
        """
        done = subprocess.run(
            [sys.executable, "-m", "muccore.operations.ctl", "-c", self.path, *argv],
            input=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=60,
            cwd=folder,
            env={**ENVIRONMENT, **(environment or {})},
        )
        return done.returncode, done.stdout, done.stderr

    async def test_whole(self) -> None:
        """An added account can log in by SCRAM, in a store that was open meanwhile."""
        accounts = SQLiteAccounts(self.database, reactor)
        await accounts.open()
        self.addCleanup(accounts.close)
        self.assertEqual(
            self.command("adduser", "romeo", stdin="pâss\n".encode()), (0, b"romeo@example.org: added\n", b"")
        )
        keys = await accounts.scramKeys("romeo@example.org", "SHA-256")
        self.assertIsInstance(keys, ScramKeys)
        self.assertTrue(keys.matches("pâss"))
        self.assertEqual(self.command("listusers"), (0, b"romeo@example.org\n", b""))
        status, out, err = self.command("adduser", "romeo", stdin=b"x\n")
        self.assertEqual((status, out, err.count(b"\n")), (1, b"", 1))
        self.assertNotIn(b"Traceback", err)

    async def test_archive(self) -> None:
        """
        The archive of an account ends with it, though a server has it open, and what was archived after the end of an
        account goes before another gets its name.
        """
        path = FilePath(self.path)
        path.setContent(path.getContent().replace(b"[storage]\n", b"[storage]\narchive = sqlite:archive.db\n"))
        self.assertEqual(self.command("adduser", "juliet", stdin=b"x")[0], 0)
        self.assertFalse(self.database.sibling("archive.db").exists())
        archive = SQLiteArchive(self.database.sibling("archive.db"), reactor)
        await archive.open()
        self.addCleanup(archive.close)

        async def names() -> list[str]:
            return [name for name in await archive.names("", 9) if await archive.metadata(name) is not None]

        for user in ("romeo", "juliet"):
            await archive.append(f"{user}@example.org", [item(user)])
        self.assertEqual(await names(), ["juliet@example.org", "romeo@example.org"])
        self.assertEqual(self.command("adduser", "romeo", stdin=b"x")[0], 0)
        self.assertEqual(await names(), ["juliet@example.org"])
        self.assertEqual(self.command("deluser", "juliet")[0], 0)
        self.assertEqual(await names(), [])
        await archive.append("romeo@example.org", [item("a")])
        self.assertEqual(await names(), ["romeo@example.org"])

    def test_hosts(self) -> None:
        """Of several hosts, an account is named with its domain, and is in the store of its host."""
        with open(self.path, "a") as file:
            file.write("[host example.net]\naccounts = sqlite:net.db\n[host example.com]\n")
        for jid in ("romeo@example.org", "Romeo@example.net", "paris@example.com"):
            self.assertEqual(self.command("adduser", jid, stdin=b"x")[0], 0)
        self.assertEqual(
            self.command("listusers")[1], b"paris@example.com\nromeo@example.net\nromeo@example.org\n"
        )
        self.assertTrue(self.database.sibling("net.db").exists())
        self.assertEqual(self.command("deluser", "romeo@example.net")[0], 0)
        self.assertEqual(self.command("listusers")[1], b"paris@example.com\nromeo@example.org\n")
        for name, problem in (
            ("romeo", b"romeo: give the domain too: romeo@example.org or romeo@example.net or romeo@example.com"),
            ("romeo@x.example", b"the accounts of this server are at example.org, example.net, example.com"),
        ):
            status, out, err = self.command("deluser", name)
            self.assertEqual((status, out, err.count(b"\n")), (1, b"", 1))
            self.assertIn(problem, err)

    def test_unmanageableHost(self) -> None:
        """A host whose accounts cannot be managed is left out of the list, and refused where it is named."""
        with open(self.path, "a") as file:
            file.write("[host example.net]\naccounts = memory:\n")
        self.assertEqual(self.command("adduser", "romeo@example.org", stdin=b"x")[0], 0)
        self.assertEqual(self.command("listusers"), (0, b"romeo@example.org\n", b""))
        status, _, err = self.command("adduser", "romeo@example.net", stdin=b"x")
        self.assertEqual(status, 1)
        self.assertIn(b"[host example.net] accounts: found 'memory:', which keeps no accounts", err)

    def test_fromAnotherFolder(self) -> None:
        """The database's path is relative to the configuration file, from any folder."""
        elsewhere = self.mktemp()
        os.makedirs(elsewhere)
        self.path = os.path.abspath(self.path)
        self.assertEqual(self.command("adduser", "romeo", stdin=b"x", folder=elsewhere)[0], 0)
        self.assertTrue(self.database.exists())
        self.assertEqual(os.listdir(elsewhere), [])

    def test_cannotOpen(self) -> None:
        """The error of a database that cannot be opened is one line that names it."""
        self.database.makedirs()
        status, out, err = self.command("listusers")
        self.assertEqual((status, out), (1, b""))
        self.assertRegex(err, rb"\Amuccorectl: [^\n]*accounts\.db[^\n]*\n\Z")

    def test_strangeTerminal(self) -> None:
        """Characters that the terminal cannot show are escaped."""
        self.command("adduser", "éric", stdin=b"x\n")
        result = self.command("listusers", environment={"PYTHONIOENCODING": "ascii"})
        self.assertEqual(result, (0, b"\\xe9ric@example.org\n", b""))

    def test_readerGone(self) -> None:
        """A reader that closes the pipe early causes no error message."""
        self.command("adduser", "romeo", stdin=b"x\n")
        reading, writing = os.pipe()
        os.close(reading)
        self.addCleanup(os.close, writing)
        self.assertEqual(self.command("listusers", stdout=writing), (0, None, b""))

    def readTerminal(self, terminal: int) -> bytes:
        """What a terminal shows next; C{b""} when its process is gone."""
        ready, _, _ = select.select([terminal], [], [], 60)
        self.assertTrue(ready, "the command hangs")
        try:
            return os.read(terminal, 1024)
        except OSError:
            return b""

    def test_terminal(self) -> None:
        """At a terminal the password is asked for twice and never shown."""
        child, terminal = pty.fork()
        if child == 0:
            try:
                argv = [sys.executable, "-m", "muccore.operations.ctl", "adduser", "romeo", "-c", self.path]
                os.execve(sys.executable, argv, ENVIRONMENT)
            finally:
                os._exit(99)
        self.addCleanup(os.close, terminal)
        shown = b""
        for prompt in (b"Password for romeo@example.org: ", b"Once more: "):
            while not shown.endswith(prompt):
                data = self.readTerminal(terminal)
                self.assertTrue(data, shown)
                shown += data
            os.write(terminal, b"seldom\n")
        while data := self.readTerminal(terminal):
            shown += data
        _, status = os.waitpid(child, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0, shown)
        self.assertIn(b"romeo@example.org: added", shown)
        self.assertNotIn(b"seldom", shown)


class ReactorTests(SynchronousTestCase):
    """The reactor that stores are made with."""

    def test_theReactor(self) -> None:
        """It is the process's."""
        self.assertIs(plugins.globalReactor(), reactor)
