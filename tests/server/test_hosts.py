# -*- test-case-name: tests.server.test_hosts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.hosts} and of servers with several hosts."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from typing import Any

from lxml import etree
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.logger import LogLevel
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.config.errors import ConfigError
from muccore.config.load import load
from muccore.config.schema import Settings
from muccore.server import preflight
from muccore.server.hosts import dummySaltSecret
from muccore.server.service import MUCCoreService
from muccore.server.stores import ServerStores
from muccore.testing.scansion.client import ClientFailed
from muccore.testing.server import RunningServer, makeSettings
from muccore.xmpp import ns
from tests.certificates import makeCertificate
from tests.configuration import ENCRYPTED, ConfigurationFile, Logged
from tests.endtoend.clients import RoomClient, bodyOf, bounded, logIn, openConnection
from tests.storage.test_sqlite_backup import FIRST_SCHEMA

ORG, NET = "example.org", "example.net"
SERVICES = {ORG: ("rooms.example.org",), NET: ("rooms.example.net", "teams.example.net")}
ROOM = "orchard@rooms.example.org"


class SeveralHostsTests(TestCase):
    """Two hosts with a certificate each and three services of rooms."""

    timeout = 60

    async def setUp(self) -> None:
        """Start the server, with accounts of one name at both hosts."""
        self.logged = Logged(self)
        self.file = ConfigurationFile(
            self,
            server={"domain": ORG},
            c2s=ENCRYPTED,
            auth={"backend": "sqlite:accounts.db"},
            storage={"affiliations": "sqlite:rooms.db"},
            muc={"domain": "\n ".join(SERVICES[ORG]), "room_creation": "local", "lock_new_rooms": "no"},
        )
        for section, domain in (("tls", ORG), (f"host {NET}", NET)):
            self.file.configure(**{section: self.certify(domain)})
        self.file.configure(**{f"host {NET}": {"muc": "\n ".join(SERVICES[NET])}})
        server = MUCCoreService(load(self.file.path), reactor)
        self.addCleanup(server.stopService)
        server.startService()
        await server.ready
        self.running = RunningServer(server)
        assert server.components is not None
        self.components = server.components
        for jid in ("romeo@example.org", "juliet@example.org", "romeo@example.net", "paris@example.net"):
            await self.components.hosts[0].accounts.create(jid, jid)  # type: ignore[attr-defined]

    def certify(self, domain: str) -> dict[str, str]:
        """Write a certificate of a domain; return the keys that configure it."""
        os.makedirs(self.file.file(domain), exist_ok=True)
        certificate, key = makeCertificate(self.file.file(domain), [domain])
        return {"certificate": certificate, "private_key": key}

    def logIn(self, jid: str, **options: Any) -> Any:
        """Log in; the password of an account is its address."""
        port = self.running.portOf("direct_tls_listen" if options.get("direct") else "listen")
        return logIn(self, port, jid, options.pop("password", jid), **options)

    def domainOf(self, client: RoomClient) -> str:
        """The domain whose certificate a client was shown."""
        transport: Any = client.transport
        return str(transport.getPeerCertificate().get_subject().CN)

    def serialOf(self, client: RoomClient) -> int:
        """The serial number of the certificate that a client was shown."""
        transport: Any = client.transport
        return int(transport.getPeerCertificate().get_serial_number())

    async def test_certificates(self) -> None:
        """With STARTTLS, the stream's C{to} chooses the certificate; with direct TLS, SNI does."""
        for jid in ("romeo@example.org", "romeo@example.net"):
            domain = jid.partition("@")[2]
            self.assertEqual(self.domainOf(await self.logIn(jid)), domain)
            for name, shown in ((None, ORG), (b"example.org", ORG), (b"example.net", NET), (b"example.com", ORG)):
                client = await self.logIn(jid, direct=True, name=name)
                self.assertEqual((self.domainOf(client), client.full), (shown, f"{jid}/r"))

    async def test_unknownHost(self) -> None:
        """A stream to another domain, or to a service of rooms, is refused (RFC 6120 §4.9.3.6)."""
        for domain in ("example.com", "rooms.example.org"):
            client = await openConnection(self, self.running.port)
            client._domain = domain
            with self.assertRaises(ClientFailed):
                await bounded(client._open())
            await client.closed()
            self.assertEqual(client.lost, "stream error host-unknown")

    async def test_accounts(self) -> None:
        """Each host has its own accounts, in one store."""
        for jid, password in (("juliet@example.net", "juliet@example.org"), ("romeo@example.net", "romeo@example.org")):
            with self.assertRaisesRegex(ClientFailed, "not-authorized"):
                await self.logIn(jid, password=password)

    async def test_room(self) -> None:
        """Users of both hosts talk in a room; rooms of the same name at other services are different ones."""
        romeo, juliet, paris = await gatherResults(
            [bounded(self.logIn(jid)) for jid in ("romeo@example.org", "juliet@example.org", "paris@example.net")]
        )
        for client, nick in ((romeo, "Romeo"), (juliet, "Juliet"), (paris, "Paris")):
            answer = await bounded(client.enter(nick, ROOM))
            self.assertIsNone(answer.get("type"))
        other = await self.logIn("romeo@example.net")
        for service in SERVICES[NET]:
            await bounded(other.enter("Montague", f"orchard@{service}"))
        for sender, text in ((juliet, "Ay me!"), (paris, "Vile Montague!")):
            sender.sendToRoom(text, ROOM)
            for client in (romeo, juliet, paris):
                self.assertEqual(bodyOf(await bounded(client.until(bodyOf))), text)
        self.assertEqual([element for element in other.stanzas if bodyOf(element)], [])

    async def test_isolation(self) -> None:
        """
        A host lists its own services only. To the users of another host it is as a remote one: accounts, existing or
        not, tell nothing, and rooms are created by its own users only.
        """
        romeo, paris = await self.logIn("romeo@example.org"), await self.logIn("paris@example.net")
        for client in (romeo, paris):
            for domain, services in SERVICES.items():
                answer = await bounded(client.request("get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", domain))
                items = [item.get("jid") for item in answer.iter(f"{{{ns.DISCO_ITEMS}}}item")]
                self.assertEqual(items, list(services))
        for payload in (
            f"<ping xmlns='{ns.PING}'/>", f"<query xmlns='{ns.VERSION}'/>", f"<query xmlns='{ns.DISCO_INFO}'/>",
            f"<query xmlns='{ns.DISCO_ITEMS}'/>", "<query xmlns='jabber:iq:roster'/>",
        ):  # fmt: skip
            answers = []
            for account in ("paris@example.net", "romeo@example.net", "nobody@example.net", "nobody@example.org"):
                answer = await bounded(romeo.request("get", payload, account))
                for attribute in ("from", "id"):
                    del answer.attrib[attribute]
                answers.append(etree.tostring(answer))
            self.assertEqual(len(set(answers)), 1, answers)
        answer = await bounded(romeo.enter("Romeo", "new@rooms.example.net"))
        self.assertEqual(answer.get("type"), "error")
        answer = await bounded(paris.enter("Paris", "new@rooms.example.net"))
        self.assertIsNone(answer.get("type"))
        # Presence stays at home, too.
        romeo.send("<presence/>")
        paris.send("<presence/>")
        await romeo.ping(ORG)
        await paris.ping(NET)
        self.assertEqual([e for c in (romeo, paris) for e in c.stanzas if e.get("from") != f"{c.full}"], [])
        romeo.send("<message to='paris@example.net' type='chat'><body>Good gentle youth</body></message>")
        received = await bounded(paris.until(bodyOf))
        self.assertEqual((bodyOf(received), received.get("from")), ("Good gentle youth", "romeo@example.org/r"))

    async def test_reload(self) -> None:
        """A reload uses new certificates of all hosts; other changes of hosts wait for the next start."""
        server = self.running.server
        serials = []
        for _ in range(2):
            serials.append(self.serialOf(await self.logIn("romeo@example.net", direct=True, name=b"example.net")))
            self.certify(NET)
            await server.reload()
        self.assertEqual(len(set(serials)), 2)
        self.assertEqual(self.logged.lines(LogLevel.warn), [])
        del self.file.sections[f"host {NET}"]
        self.file.configure(**{"host example.com": self.certify("example.com")})
        await server.reload()
        del self.file.sections["host example.com"]
        for services in (SERVICES[NET], SERVICES[NET][:1]):
            self.file.configure(**{f"host {NET}": {**self.certify(NET), "muc": "\n ".join(services)}})
            await server.reload()
        waiting = ("[host example.com], [host example.net]", "[host example.com], [host example.net]",
                   "[host example.net] muc")  # fmt: skip
        self.assertEqual(
            self.logged.lines(LogLevel.warn), [f"these changes take effect at the next start: {key}" for key in waiting]
        )
        self.assertEqual(self.domainOf(await self.logIn("romeo@example.net")), NET)

    async def test_reloadFails(self) -> None:
        """If one host has an unusable certificate, the line names its section, and all hosts keep theirs."""
        jids = ("romeo@example.org", "romeo@example.net")
        before = [self.serialOf(await self.logIn(jid)) for jid in jids]
        self.certify(ORG)
        with open(self.certify(NET)["certificate"], "w"):
            pass
        await self.running.server.reload()
        [line] = self.logged.lines(LogLevel.error)
        self.assertRegex(line, r"not reloaded: \S+server.cfg:[0-9]+: \[host example.net\] certificate: .* is not a PEM")
        self.assertEqual([self.serialOf(await self.logIn(jid)) for jid in jids], before)

    async def test_warnings(self) -> None:
        """Certificates are checked for the domain of each host, and whether others can read their keys."""
        keys = self.certify(NET)
        makeCertificate(self.file.file(NET), [ORG])
        os.chmod(keys["private_key"], 0o644)
        await self.running.server.reload()
        found = self.logged.lines(LogLevel.warn)
        self.assertEqual(len(found), 2, found)
        self.assertIn(f"{keys['certificate']}: the certificate is for example.org, not for example.net", found[0])
        self.assertIn(f"{keys['private_key']}: every user of this machine can read this private key", found[1])

    async def test_sharedCertificate(self) -> None:
        """A certificate of several hosts is warned of once, and for each host that it is not for."""
        self.file.sections[f"host {NET}"] = {"muc": SERVICES[NET][0]}
        self.patch(self.running.server, "_time", lambda: time.time() + 20 * 24 * 60 * 60)
        self.file.configure()
        await self.running.server.reload()
        found = [line for line in self.logged.lines(LogLevel.warn) if "certificate" in line]
        self.assertEqual(len(found), 2, found)
        self.assertIn("the certificate expires on ", found[0])
        self.assertIn("the certificate is for example.org, not for example.net", found[1])


class OwnStoreTests(TestCase):
    """Stores and certificates of hosts."""

    def test_problems(self) -> None:
        """The preflight reports every unusable certificate and store at the host's section, once."""
        file = ConfigurationFile(
            self, c2s=ENCRYPTED,
            **{
                "host a.example": {"certificate": "no.crt", "private_key": "no.key", "accounts": "sqlite:folder"},
                "host b.example": {"accounts": "sqlite:folder"},
                "host c.example": {"certificate": "none.crt", "private_key": "none.key"},
            },
        )  # fmt: skip
        os.mkdir(file.file("folder"))
        error = self.assertRaises(ConfigError, preflight.check, load(file.path), reactor)
        self.assertEqual(
            [(problem.section, problem.key) for problem in error.problems],
            [
                ("host a.example", "certificate"), ("host c.example", "certificate"), ("host a.example", "accounts"),
            ],
        )  # fmt: skip


    async def test_olderAccounts(self) -> None:
        """Accounts without a domain, of the first schema, become those of the first host that has their store."""
        for backend, owner in (("sqlite:old.db", ORG), ("memory:", NET)):
            path = FilePath(self.mktemp())
            path.makedirs()
            with closing(sqlite3.connect(path.child("old.db").path)) as connection:
                connection.executescript(f"{FIRST_SCHEMA} INSERT INTO account VALUES ('romeo');")
            more: dict[str, Any] = {f"host {domain}": {"accounts": "sqlite:old.db"} for domain in (NET, "example.com")}
            settings = makeSettings(
                path.child("server.cfg").path, server={"domain": ORG}, auth={"backend": backend}, **more
            )
            stores = ServerStores(settings, reactor)
            self.assertIs(*(stores.accountsOf(host) for host in settings.hosts[1:]))
            [store] = stores.manageable()
            await store.open()
            self.addCleanup(store.close)
            self.assertEqual(await store.users(), [f"romeo@{owner}"])

    def test_spellings(self) -> None:
        """A file that is described in several ways is one store, which belongs to the first host first."""
        file = ConfigurationFile(self, server={"domain": ORG}, auth={"backend": "sqlite:old.db"})
        os.symlink("old.db", file.file("link.db"))
        for number, path in enumerate(("./old.db", file.file("old.db"), "link.db")):
            file.configure(**{f"host host{number}.example": {"accounts": f"sqlite:{path}"}})
        settings = load(file.path)
        stores = ServerStores(settings, reactor)
        rooms = ("storage", "affiliations")
        places = [("auth", "backend"), rooms, ("storage", "occupants"), rooms, rooms]
        places += [("auth", "backend")] * 2
        self.assertEqual([place for place, _ in stores.all], places)
        self.assertEqual({stores.accountsOf(host) for host in settings.hosts}, set(stores.manageable()))
        self.assertEqual(len({stores.userDataOf(host) for host in settings.hosts}), 1)


class SecretTests(SynchronousTestCase):
    """The secret for the salts of users that do not exist."""

    def secret(self, settings: Settings, host: int = 0) -> bytes | None:
        """The secret of a host, by its number."""
        return dummySaltSecret(settings, settings.hosts[host])

    def test_kept(self) -> None:
        """It depends on the private key alone, and does not reveal it."""
        file = ConfigurationFile(self, c2s=ENCRYPTED)
        settings = load(file.path)
        secret = self.secret(settings)
        assert secret is not None
        self.assertEqual(len(secret), 32)
        self.assertEqual(self.secret(settings), secret)
        with open(file.file("key.pem"), "rb") as key:
            self.assertNotIn(secret, key.read())
        file.certify()
        self.assertNotEqual(self.secret(settings), secret)

    def test_hosts(self) -> None:
        """Two hosts with one key have different secrets, so that equal salts reveal no unknown user."""
        file = ConfigurationFile(self, c2s=ENCRYPTED, **{"host example.net": {}})
        self.assertEqual(len({self.secret(load(file.path), host) for host in range(2)}), 2)

    def test_none(self) -> None:
        """Without TLS there is none, even with a key."""
        file = ConfigurationFile(self, c2s=ENCRYPTED)
        self.assertIsNone(self.secret(makeSettings()))
        file.configure(c2s={"tls": "off", "direct_tls_listen": ""})
        self.assertIsNone(self.secret(load(file.path)))
