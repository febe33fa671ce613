# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.external.directory} and its helper, with OpenLDAP's server."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.interfaces import BadDescription, StoreUnavailable
from muccore.storage.external import directory
from muccore.storage.external.directory import DirectoryAuth, makeDirectoryAuth
from muccore.testing.contracts import AuthBackendContract
from tests.storage.external.slapd import ADMIN, ADMIN_PASSWORD, BASE, PASSWORDS, SKIP, Slapd

JULIET, RIGHT = "juliet@localhost", PASSWORDS["juliet"]
TEMPLATE = f"user_dn = uid=%u,{BASE}"


class DirectoryTestCase(TestCase):
    """Tests with a directory."""

    timeout = 60
    skip = SKIP

    async def setUp(self) -> None:
        """Start the directory."""
        super().setUp()
        self.slapd = Slapd(self)
        await self.slapd.start()
        self.secret = FilePath(self.mktemp())
        self.secret.setContent(f"{ADMIN_PASSWORD}\n".encode())
        self.search = (f"base = {BASE}", f"bind_dn = {ADMIN}", f"password = {self.secret.path}")

    def make(self, scheme: str, *options: str, host: str = "127.0.0.1", trusted: bool = True) -> DirectoryAuth:
        """Make a backend with one process."""
        port = self.slapd.tlsPort if scheme == "ldaps" else self.slapd.port
        ca = (f"ca = {self.slapd.certificate}",) if trusted else ()
        lines = (f"//{host}:{port}", "processes = 1", *ca, *options)
        return makeDirectoryAuth(scheme, "\n".join(lines), FilePath(os.getcwd()), reactor)

    async def opened(self, scheme: str, *options: str, **more: Any) -> DirectoryAuth:
        """Open a backend with one process."""
        accounts = self.make(scheme, *options, **more)
        accounts.probe()
        await accounts.open()
        self.addCleanup(accounts.close)
        return accounts


class DirectoryTests(DirectoryTestCase):
    """L{DirectoryAuth}"""

    async def test_bindAsUser(self) -> None:
        """Users bind under a DN that is made of their names, with StartTLS and LDAPS."""
        for scheme in ("ldap", "ldaps"):
            accounts = await self.opened(scheme, TEMPLATE, *self.search[1:])
            for user in ("juliet", "romeo"):
                self.assertIs(await accounts.checkPassword(f"{user}@localhost", PASSWORDS[user]), True)
                self.assertIs(await accounts.checkPassword(f"{user}@localhost", "wrong"), False)
                self.assertIs(await accounts.hasAccount(f"{user}@localhost"), True)
            for user in ("tybalt", "nopassword", "juliet,ou=people"):
                self.assertIs(await accounts.checkPassword(f"{user}@localhost", RIGHT), False)
            self.assertIs(await accounts.hasAccount("tybalt@localhost"), False)

    async def test_search(self) -> None:
        """Or they are searched for."""
        for scheme, options in (("ldap", ()), ("ldaps", ("scope = one", "filter = (&(objectClass=person)(uid=%u))"))):
            accounts = await self.opened(scheme, *self.search, *options)
            self.assertIs(await accounts.checkPassword(JULIET, RIGHT), True)
            self.assertIs(await accounts.checkPassword(JULIET, "wrong"), False)
            self.assertIs(await accounts.checkPassword("tybalt@localhost", RIGHT), False)
            self.assertIs(await accounts.hasAccount(JULIET), True)
            self.assertIs(await accounts.hasAccount("tybalt@localhost"), False)
        accounts = await self.opened("ldaps", "base = dc=example,dc=org", *self.search[1:], "scope = one")
        self.assertIs(await accounts.hasAccount(JULIET), False)

    async def test_escaped(self) -> None:
        """Names are no patterns, and no parts of filters or DNs."""
        odd = "o(d*d,na=me"
        for options in ((TEMPLATE, *self.search[1:]), self.search):
            accounts = await self.opened("ldaps", *options)
            self.assertIs(await accounts.checkPassword(f"{odd}@localhost", PASSWORDS[odd]), True)
            for user in ("*", "jul*", "juliet)(uid=*", "juliet\\2a", f"juliet,{BASE}", "#juliet", "juliet+cn=juliet"):
                self.assertIs(await accounts.checkPassword(f"{user}@localhost", RIGHT), False, user)
                self.assertIs(await accounts.hasAccount(f"{user}@localhost"), False, user)

    async def test_emptyPassword(self) -> None:
        """RFC 4513 §5.1.2: this directory lets everybody bind with an empty password; nobody logs in by it."""
        accounts = await self.opened("ldaps", TEMPLATE, *self.search[1:])
        for password in ("", "\u00ad"):
            self.assertIs(await accounts.checkPassword(JULIET, password), False)

    async def test_ambiguous(self) -> None:
        """A filter that finds two users finds none, and somebody has to be told."""
        accounts = await self.opened("ldaps", *self.search)
        with self.assertRaisesRegex(StoreUnavailable, "several entries"):
            await accounts.checkPassword("twice@localhost", PASSWORDS["twice"])
        self.assertIs(await accounts.checkPassword(JULIET, RIGHT), True)

    async def test_verified(self) -> None:
        """The certificate must be trusted, and for that name: no password goes to anybody else."""
        for scheme in ("ldap", "ldaps"):
            for more in ({"trusted": False}, {"host": "localhost"}):
                accounts = await self.opened(scheme, TEMPLATE, *self.search[1:], **more)
                with self.assertRaises(StoreUnavailable):
                    await accounts.checkPassword(JULIET, RIGHT)

    async def test_clearText(self) -> None:
        """On loopback it goes without TLS."""
        accounts = await self.opened("ldap", TEMPLATE, "starttls = no", trusted=False)
        self.assertIs(await accounts.checkPassword(JULIET, RIGHT), True)

    async def test_wrongReader(self) -> None:
        """If the server cannot search, this is no refusal."""
        self.secret.setContent(b"wrong")
        accounts = await self.opened("ldaps", *self.search)
        with self.assertRaisesRegex(StoreUnavailable, "bind_dn or its password is wrong"):
            await accounts.checkPassword(JULIET, RIGHT)
        # The file is read again.
        self.secret.setContent(ADMIN_PASSWORD.encode())
        self.assertIs(await accounts.checkPassword(JULIET, RIGHT), True)

    async def test_downAndBack(self) -> None:
        """While the directory is down there is no answer; when it is back, there is at once."""
        accounts = await self.opened("ldaps", *self.search)
        for _ in range(2):
            self.assertIs(await accounts.checkPassword(JULIET, RIGHT), True)
            self.slapd.stop()
            for _ in range(5):
                with self.assertRaisesRegex(StoreUnavailable, "Can't contact LDAP server"):
                    await accounts.checkPassword(JULIET, RIGHT)
            await self.slapd.start()
        # Connections that were kept have ended meanwhile.
        self.assertIs(await accounts.checkPassword(JULIET, RIGHT), True)
        self.slapd.stop()
        await self.slapd.start()
        self.assertIs(await accounts.checkPassword(JULIET, RIGHT), True)

    async def test_silent(self) -> None:
        """A directory that says nothing, not even in the handshake of TLS, keeps nobody waiting for ever."""
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            for scheme in ("ldap", "ldaps"):
                description = f"//127.0.0.1:{listening.getsockname()[1]}\n{TEMPLATE}\nprocesses = 1\ntimeout = 1"
                accounts = makeDirectoryAuth(scheme, description, FilePath("/"), reactor)
                await accounts.open()
                self.addCleanup(accounts.close)
                with self.assertRaises(StoreUnavailable):
                    await accounts.checkPassword(JULIET, RIGHT)

    async def test_concurrent(self) -> None:
        """Many at once get their own answers."""
        accounts = await self.opened("ldaps", *self.search)
        asked = [(user, each) for user, right in PASSWORDS.items() if user != "twice" for each in (right, "no")] * 5
        answers = await gatherResults([accounts.checkPassword(f"{user}@localhost", each) for user, each in asked])
        self.assertEqual(answers, [PASSWORDS[user] == each for user, each in asked])


class ContractTests(AuthBackendContract, DirectoryTestCase):
    """The contract."""

    async def setUp(self) -> None:
        """Start the directory."""
        await DirectoryTestCase.setUp(self)
        self.place = FilePath(self.mktemp())

    def makeStore(self, place: FilePath[str]) -> Any:
        """See L{AuthBackendContract}."""
        return self.make("ldaps", *self.search)


class DescriptionTests(SynchronousTestCase):
    """L{makeDirectoryAuth}"""

    def test_refused(self) -> None:
        """What is wrong is said."""
        base = "base = dc=example"
        for scheme, text, problem in (
            ("ldaps", f"\n{base}", "needs an address alone"), ("ldaps", f"//a.b/dc=c\n{base}", "address alone"),
            ("ldaps", f"//u:p@a.b\n{base}", "address alone"), ("ldaps", f"//a.b:x\n{base}", "address alone"),
            ("ldaps", "//a.b", "either user_dn"), ("ldaps", f"//a.b\n{base}\nuser_dn = uid=%u", "either user_dn"),
            ("ldaps", "//a.b\nuser_dn = uid=", "with %u"), ("ldaps", f"//a.b\n{base}\nfilter = uid=%u", "a filter"),
            ("ldaps", f"//a.b\n{base}\nfilter = (uid=x)", "a filter"),
            ("ldaps", f"//a.b\n{base}\nscope = x", "sub, one"),
            ("ldaps", f"//a.b\n{base}\nbind_dn = cn=x", "needs both"),
            ("ldap", f"//a.b\n{base}\nstarttls = no", "clear text"),
        ):  # fmt: skip
            with self.assertRaisesRegex(BadDescription, problem):
                makeDirectoryAuth(scheme, text, FilePath("/"), reactor)

    def test_probe(self) -> None:
        """The preflight says what is missing: the library, or files."""
        description = "//a.b\nbase = dc=example\nbind_dn = cn=x\npassword = missing"
        accounts = makeDirectoryAuth("ldaps", description, FilePath("/"), reactor)
        self.patch(directory, "find_spec", lambda name: None)
        with self.assertRaisesRegex(StoreUnavailable, r"install muccore\[ldap\]"):
            accounts.probe()
        self.patch(directory, "find_spec", lambda name: name)
        with self.assertRaisesRegex(StoreUnavailable, "/missing: it cannot be read"):
            accounts.probe()

    def test_nothingSecret(self) -> None:
        """The password of the reader is not among the arguments of the helper, which everybody can see."""
        secret = FilePath(self.mktemp())
        secret.setContent(b"s3cret")
        description = f"//a.b\nbase = dc=example\nbind_dn = cn=x\npassword = {secret.path}"
        accounts = makeDirectoryAuth("ldaps", description, FilePath("/"), reactor)
        self.assertNotIn("s3cret", str(accounts.arguments))
