# -*- test-case-name: tests.server.test_assembly -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.assembly}."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from twisted.internet.defer import Deferred, FirstError, fail
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from muccore.config import storage as storageModule
from muccore.config.load import load
from muccore.config.schema import Settings
from muccore.im.accounts import Accounts
from muccore.im.announcements import Announcements
from muccore.im.blocking import BlockingHandler
from muccore.im.carbons import CarbonsHandler
from muccore.im.directinvitations import DirectInvitationHandler
from muccore.im.lastactivity import LastActivityHandler
from muccore.im.offline import OfflineHandler
from muccore.im.presence import PresenceHandler
from muccore.im.privatestorage import PrivateStorageHandler
from muccore.im.pushes import PushHandler
from muccore.im.registration import RegistrationHandler
from muccore.im.roster import RosterHandler
from muccore.im.subscribing import SubscriptionHandler
from muccore.im.userstate import UserStates
from muccore.im.vcards import VCardHandler
from muccore.interfaces import IUserDataStore, Stage, StoreUnavailable
from muccore.muc.handler import MUCHandler
from muccore.pubsub.pep import PEPHandler
from muccore.server import assembly, preflight
from muccore.server import stores as storesModule
from muccore.server.handlers import mucOptions
from muccore.server.stores import ServerStores
from muccore.services.administration.handler import AdministrationHandler
from muccore.services.capabilities import CapabilitiesHandler
from muccore.services.contacts import ContactHandler
from muccore.services.disco import DiscoInfoHandler
from muccore.services.externalservices import ExternalServicesHandler
from muccore.services.ping import PingHandler
from muccore.services.time import TimeHandler
from muccore.services.uptime import UptimeHandler
from muccore.services.version import VersionHandler
from muccore.session.session import Session
from muccore.storage.memoryarchive import MemoryArchive
from muccore.storage.memoryroster import MemoryRosters
from muccore.storage.sqlite.audit import SQLiteAudit
from muccore.storage.sqlite.pubsub import SQLitePubSub
from muccore.storage.sqlite.userdata import SQLiteUserData
from muccore.stream.c2s import StreamSettings as StreamSettings
from muccore.testing.defaults import defaultOptions, defaultStreams
from muccore.testing.server import makeSettings
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from tests.certificates import makeCertificate
from tests.configuration import ENCRYPTED, ConfigurationFile
from tests.routing.helpers import FakeStream


def differing(one: Any, other: Any) -> set[str]:
    """The fields in which two instances of a data class differ."""
    names = {field.name for field in dataclasses.fields(one)}
    return {name for name in names if getattr(one, name) != getattr(other, name)}


class SettingsTests(SynchronousTestCase):
    """Settings made from the configuration."""

    def test_streams(self) -> None:
        """Every setting of streams comes from the configuration, in its own unit."""
        settings = makeSettings(
            c2s={"login_timeout": "7 s", "idle_timeout": "2 h", "keepalive": "5 min", "stall_timeout": "70 s"},
            limits={
                "stanza_size": "20 KiB",
                "stanza_size_unauthenticated": "2 KiB",
                "depth": "10",
                "attributes": "11",
                "elements": "17",
                "rate": "3 KiB",
                "burst": "5 KiB",
                "stanza_cost": "100 B",
                "address_rate": "6 KiB",
                "address_burst": "7 KiB",
                "connections": "13",
                "connections_per_address": "12",
                "exempt": "192.0.2.0/24",
            },
        )
        made = assembly.streamSettings(settings)
        self.assertEqual(differing(made, defaultStreams()), {each.name for each in dataclasses.fields(StreamSettings)})
        self.assertEqual(
            {name: value for name, value in vars(made).items() if name != "exempt"},
            {
                "stallTimeout": 70,
                "stanzaSize": 20 * 1024,
                "stanzaSizeUnauthenticated": 2 * 1024,
                "depth": 10,
                "attributes": 11,
                "elements": 17,
                "loginTimeout": 7,
                "idleTimeout": 7200,
                "keepalive": 300,
                "rate": 3 * 1024,
                "burst": 5 * 1024,
                "stanzaCost": 100,
                "addressRate": 6 * 1024,
                "addressBurst": 7 * 1024,
                "connections": 13,
                "connectionsPerAddress": 12,
            },
        )
        self.assertIn("192.0.2.77", made.exempt)
        self.assertNotIn("127.0.0.1", made.exempt)

    def test_rooms(self) -> None:
        """Every setting of the rooms comes from the configuration."""
        made = mucOptions(
            makeSettings(
                muc={
                    "name": "Verona",
                    "room_creation": "local",
                    "room_list": "local",
                    "room_registration": "local",
                    "lock_new_rooms": "no",
                    "rooms_per_user": "3",
                    "rooms_per_minute": "4",
                    "rooms_limit": "5",
                    "room_size_limit": "64 KiB",
                    "user_size_limit": "65 KiB",
                    "total_size_limit": "66 KiB",
                    "idle_rooms": "4",
                    "list_limit": "100",
                    "presence_size": "5 KiB",
                    "ping_interval": "11 s",
                    "webchat_url": "https://localhost/{jid}",
                    "room_defaults": "muc#roomconfig_allowpm = none",
                    "locked_fields": "muc#roomconfig_allowpm",
                    "history": "6",
                    "history_limit": "7",
                    "max_users_limit": "8",
                    "temporary_room_grace": "9 s",
                    "room_lock_timeout": "10 s",
                    "occupant_rate": "1 KiB",
                    "occupant_burst": "2 KiB",
                    "room_rate": "3 KiB",
                    "room_burst": "4 KiB",
                    "messages_per_minute": "11",
                    "presence_per_minute": "12",
                    "joins_per_minute": "13",
                    "tombstone_time": "12 s",
                    "occupant_grace": "11 s",
                    "default_public": "no",
                    "default_persistent": "yes",
                    "default_members_only": "yes",
                    "default_moderated": "yes",
                    "default_whois": "anyone",
                    "archive_retention": "11 s",
                    "audit_retention": "12 s",
                    "block_lists": "rtbl.example.org/bans",
                },
                storage={"archive": "memory:"},
                auth={"anonymous": "yes"},
            ),
            "example.org",
        )
        self.assertEqual(differing(made, defaultOptions()), {field.name for field in dataclasses.fields(made)})
        self.assertEqual(
            {name: value for name, value in vars(made).items() if name != "defaults"},
            {
                "name": "Verona",
                "localDomain": "example.org",
                "guestDomains": frozenset(["localhost"]),
                "anonymousDomains": frozenset(["localhost"]),
                "creation": "local",
                "listing": "local",
                "registration": "local",
                "lockNewRooms": False,
                "roomsPerUser": 3,
                "roomsPerMinute": 4,
                "roomsLimit": 5,
                "roomSizeLimit": 64 * 1024,
                "userSizeLimit": 65 * 1024,
                "totalSizeLimit": 66 * 1024,
                "historyLimit": 7,
                "maxUsersLimit": 8,
                "idleRooms": 4,
                "listLimit": 100,
                "grace": 9,
                "lockTimeout": 10,
                "costRates": (1024, 2048, 3072, 4096),
                "messagesPerMinute": 11,
                "presencePerMinute": 12,
                "joinsPerMinute": 13,
                "tombstoneTime": 12,
                "occupantGrace": 11,
                "presenceSize": 5 * 1024,
                "archiving": True,
                "archiveRetention": 11,
                "auditRetention": 12,
                "blockLists": (parse("rtbl.example.org/bans"),),
                "pingInterval": 11,
                "webchatURL": "https://localhost/{jid}",
                "lockedFields": {"muc#roomconfig_allowpm"},
            },
        )
        defaults = made.defaults
        self.assertEqual((defaults.public, defaults.historyLength, defaults.allowPM), (False, 6, "none"))
        for name in ("persistent", "membersOnly", "moderated", "nonAnonymous", "logged"):
            self.assertIs(getattr(defaults, name), True, name)


class ServerComponentsTests(SynchronousTestCase):
    """Assembling and opening a server."""

    def make(self, settings: Settings) -> assembly.ServerComponents:
        """Make the components on a clock."""
        return assembly.ServerComponents(settings, Clock())

    def test_made(self) -> None:
        """
        New components answer for all domains, without handlers and with closed stores; each store has the place of its
        description.
        """
        settings = makeSettings(auth={"backend": "memory:"})
        made = self.make(settings)
        [host] = made.hosts
        self.assertEqual([domain.name for domain in host.domains], ["localhost", "conference.localhost"])
        self.assertEqual([list(domain) for domain in host.domains], [[], []])
        rooms = ("storage", "affiliations")
        expected = [
            (("auth", "backend"), host.accounts),
            (rooms, made.stores.rooms),
            (("storage", "occupants"), made.stores.occupants),
            (rooms, made.stores.audit),
            (rooms, made.stores.rosters),
            (("auth", "backend"), made.stores.userDataOf(settings.hosts[0])),
            (("auth", "backend"), made.stores.pubSubOf(settings.hosts[0])),
        ]
        self.assertEqual(made.stores.all, expected)
        self.assertIsNone(made.stores.archive)
        self.assertIsNone(host.tls)

    def test_audit(self) -> None:
        """Audit trails are where rooms are, or where the configuration says; nowhere if that has no store for them."""
        made = self.make(makeSettings(storage={"affiliations": "sqlite:rooms.db"})).stores.audit
        assert isinstance(made, SQLiteAudit)
        self.assertTrue(made.database.path.endswith("/rooms.db"))
        stores = self.make(makeSettings(storage={"affiliations": "memory:", "audit": "sqlite:audit.db"})).stores
        assert isinstance(stores.audit, SQLiteAudit)
        self.assertIn((("storage", "audit"), stores.audit), stores.all)
        for module in (storesModule, storageModule):
            self.patch(module, "hasScheme", lambda kind, description: False)
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        without = self.make(makeSettings(auth={"backend": "memory:"}, storage={"affiliations": "memory:"}))
        self.assertIsNone(without.stores.audit)
        self.successResultOf(without.open())
        logged = " ".join(formatEvent(event) for event in events)
        self.assertIn("there is no audit trail", logged)
        self.assertIn("contacts of users are lost when the server ends", logged)
        self.assertIsInstance(without.stores.rosters, MemoryRosters)
        self.assertIn("users of localhost cannot store bookmarks", logged)
        self.assertIn("users of localhost cannot publish avatars", logged)

    def userDataOf(self, settings: Settings) -> list[IUserDataStore | None]:
        """The stores of documents of the users of each host."""
        stores = ServerStores(settings, Clock())
        found = [stores.userDataOf(host) for host in settings.hosts]
        self.assertEqual(
            {id(store) for _, store in stores.all if IUserDataStore.providedBy(store)}, set(map(id, found))
        )
        return found

    def test_userData(self) -> None:
        """
        Documents of users are where the accounts of their host are, or the rooms if they cannot be there; or where the
        configuration says. Hosts share what is in one place.
        """
        both = {"affiliations": "sqlite:rooms.db"}
        [made] = self.userDataOf(makeSettings(storage=both))
        assert isinstance(made, SQLiteUserData)
        self.assertTrue(made.database.path.endswith("/rooms.db"))
        hosts: Any = {
            "auth": {"backend": "sqlite:a.db"}, "host b.example": {"accounts": "sqlite:./a.db"},
            "host c.example": {"accounts": "sqlite:c.db"},
        }  # fmt: skip
        first, second, third = self.userDataOf(makeSettings(storage=both, **hosts))
        self.assertIs(first, second)
        assert isinstance(first, SQLiteUserData) and isinstance(third, SQLiteUserData)
        self.assertTrue(first.database.path.endswith("/a.db") and third.database.path.endswith("/c.db"))
        first, second, third = self.userDataOf(makeSettings(storage={**both, "userdata": "sqlite:u.db"}, **hosts))
        assert isinstance(first, SQLiteUserData)
        self.assertTrue(first is second is third and first.database.path.endswith("/u.db"))

    def test_pubSub(self) -> None:
        """What users publish is where the accounts of their host are, or the rooms, or where the configuration says."""
        hosts: Any = {"auth": {"backend": "sqlite:a.db"}, "host b.example": {"accounts": "insecure:"}}
        for configured, places in (({}, ["a.db", "rooms.db"]), ({"pubsub": "sqlite:p.db"}, ["p.db", "p.db"])):
            settings = makeSettings(storage={"affiliations": "sqlite:rooms.db", **configured}, **hosts)
            stores = ServerStores(settings, Clock())
            found = [stores.pubSubOf(host) for host in settings.hosts]
            for made, place in zip(found, places, strict=True):
                assert isinstance(made, SQLitePubSub)
                self.assertTrue(made.database.path.endswith(f"/{place}"))
            self.assertEqual(len(set(map(id, found))), len(set(places)))

    def test_occupants(self) -> None:
        """Places of occupants are beside the database of the rooms, unless something else is configured."""
        for storage, expected in (
            ({"affiliations": "sqlite:var/rooms.db"}, "/etc/muccore/var/rooms.db-occupants"),
            ({"affiliations": "sqlite:/var/rooms.db"}, "/var/rooms.db-occupants"),
            ({"affiliations": "memory:", "occupants": "file:places"}, "/etc/muccore/places"),
            ({"affiliations": "memory:"}, None),
            ({"affiliations": "sqlite:rooms.db", "occupants": "memory:"}, None),
        ):
            made = self.make(makeSettings("/etc/muccore/server.cfg", storage=storage))
            self.assertEqual(getattr(made.stores.occupants, "path", None), expected)

    def test_archive(self) -> None:
        """The archive is one of the stores if it is configured; it is open when handlers are added."""
        made = self.make(makeSettings(storage={"affiliations": "memory:", "archive": "memory:"}))
        archive = made.stores.archive
        assert isinstance(archive, MemoryArchive)
        self.assertIn((("storage", "archive"), archive), made.stores.all)
        self.successResultOf(made.open())
        self.assertTrue(archive.isOpen)

    def test_open(self) -> None:
        """Once the stores are open, the handlers are added."""
        made = self.make(makeSettings())
        self.successResultOf(made.open())
        for domain, kinds in zip(made.hosts[0].domains, (
            (
                DiscoInfoHandler, PingHandler, PresenceHandler, RosterHandler, SubscriptionHandler, VersionHandler,
                TimeHandler, UptimeHandler, ContactHandler, DirectInvitationHandler, CarbonsHandler, UserStates,
                BlockingHandler, PrivateStorageHandler, VCardHandler, LastActivityHandler, OfflineHandler,
                CapabilitiesHandler, Accounts, RegistrationHandler, Announcements, AdministrationHandler, PushHandler,
                ExternalServicesHandler, PEPHandler,
            ),
            (DiscoInfoHandler, PingHandler, VersionHandler, MUCHandler),
        ), strict=True):  # fmt: skip
            handlers = list(domain)
            for kind in kinds:
                self.assertEqual(len([handler for handler in handlers if isinstance(handler, kind)]), 1, kind)
            self.assertEqual(len(handlers), len(kinds))

    def resumable(self, made: assembly.ServerComponents) -> Session:
        """Bind a session that can be resumed, with a message that is not acknowledged and presence in a room."""
        address = parse("romeo@localhost/a")
        session = made.sessions.bind(address.bareJID(), address.resource, FakeStream())
        session.enableManagement(True, None)
        session.directed["room@conference.localhost/Romeo"] = parse("room@conference.localhost/Romeo")
        return session

    def restarted(self, made: assembly.ServerComponents) -> assembly.ServerComponents:
        """Open a server with the stores of another one."""
        again = self.make(makeSettings())
        again.stores.occupants = made.stores.occupants
        self.successResultOf(again.open())
        return again

    def test_sessions(self) -> None:
        """
        Sessions that can be resumed are saved, and are there when the server has opened, once. One that is in no room
        any more is told so.
        """
        made = self.make(makeSettings())
        self.successResultOf(made.open())
        old = self.resumable(made)
        made.sessions.suspendAll()
        self.successResultOf(made.saveSessions())
        again = self.restarted(made)
        [session] = again.sessions
        self.assertEqual(session.fullText, old.fullText)
        self.assertEqual(len(session.management), 1)
        [(stanza, _, _, _)] = session.management.unacknowledged()
        self.assertEqual(stanza.type, "unavailable")
        self.assertIn(b"'307'", stanza.tail)
        self.assertEqual(list(self.restarted(again).sessions), [])

    def test_sessionsCannotBeSaved(self) -> None:
        """If sessions cannot be saved, they end, and the end goes on."""
        made = self.make(makeSettings())
        self.successResultOf(made.open())
        session = self.resumable(made)
        self.patch(made.stores.occupants, "saveSessions", lambda sessions: fail(StoreUnavailable("the disk is full")))
        made.sessions.suspendAll()
        self.successResultOf(made.saveSessions())
        self.assertTrue(session.ended)
        self.assertEqual(list(made.sessions), [])
        self.assertEqual(self.restarted(made).sessions.resumptions.resumable(), [])

    def test_sessionsCannotBeTaken(self) -> None:
        """If sessions cannot be read, the server starts without them."""
        made = self.make(makeSettings())
        self.patch(made.stores.occupants, "takeSessions", lambda: fail(StoreUnavailable("x")))
        self.successResultOf(made.open())
        self.assertEqual(len(self.flushLoggedErrors(StoreUnavailable)), 1)

    def test_accountsCannotBeRead(self) -> None:
        """While it cannot be read who is disabled, the server starts, but nobody may log in."""
        settings = makeSettings(auth={"backend": "memory:"})
        clock = Clock()
        made = assembly.ServerComponents(settings, clock)
        store: Any = made.stores.userDataOf(settings.hosts[0])
        keys = store.keys
        store.keys = lambda account, kind: fail(StoreUnavailable("x"))
        self.successResultOf(made.open())
        refusal = lambda name: made.access.refusal(f"{name}@localhost", made.access.count)
        self.assertEqual(refusal("juliet"), "temporary-auth-failure")
        store.keys = keys
        accounts: Any = made.hosts[0].handlers.accounts
        self.successResultOf(Deferred.fromCoroutine(accounts.records.setDisabled("romeo", True)))
        clock.advance(1)
        self.assertEqual((refusal("juliet"), refusal("romeo")), (None, "account-disabled"))

    def test_storeFails(self) -> None:
        """If a store cannot be opened, the error says which, and no handlers are added."""
        for position in range(2):
            made = self.make(makeSettings(auth={"backend": "memory:"}))
            self.patch(made.stores.all[position][1], "open", lambda: fail(StoreUnavailable("x")))
            failure = self.failureResultOf(made.open(), FirstError)
            self.assertEqual(failure.value.index, position)
            self.assertIsInstance(failure.value.subFailure.value, StoreUnavailable)
            self.assertEqual(list(made.hosts[0].userDomain), [])

    def test_reconfigure(self) -> None:
        """New settings of log-ins, limits, streams and rooms apply at once."""
        made = self.make(makeSettings())
        self.successResultOf(made.open())
        [host] = made.hosts
        offer = made.streams.features
        self.assertIn(b"PLAIN", offer.offer(Stage.LOGIN, False, None))
        made.reconfigure(
            makeSettings(
                c2s={"allow_plaintext_auth": "no", "login_tries": "2", "login_timeout": "7 s", "channel_binding": "no"},
                limits={"sessions_per_account": "3", "directed_presences": "10", "connections": "5"},
                muc={"name": "Verona", "domain": "rooms.example.org"},
                server={"domain": "example.org", "contact_addresses": "admin xmpp:admin@example.org"},
                users={"private_data": "3 KiB"},
            ),
            {},
        )
        assert host.handlers.userData is not None
        self.assertEqual(host.handlers.userData.privateStorage.accountLimit, 3072)
        # Those are of a host that comes with a restart.
        self.assertEqual(host.handlers.contacts.addresses, ())
        self.assertEqual((made.sessions.limit, host.handlers.presence.directedLimit), (3, 10))
        self.assertIsNot(made.streams.features, offer)
        self.assertNotIn(b"PLAIN", made.streams.features.offer(Stage.LOGIN, False, None))
        self.assertEqual((made.streams.features.loginTries, made.streams.features.channelBinding), (2, False))
        self.assertEqual((made.streams.settings.loginTimeout, made.streams.limit.total), (7, 5))
        # The domains can only change by a restart.
        options = host.handlers.muc["conference.localhost"].options
        self.assertEqual(
            (made.streams.features.domain, options.name, options.localDomain), ("localhost", "Verona", "localhost")
        )

    def test_tokens(self) -> None:
        """The lifetime of tokens applies at once; without one there are none."""
        made = self.make(makeSettings(c2s={"token_lifetime": "3 d"}))
        self.successResultOf(made.open())
        [host] = made.hosts
        assert host.tokens is not None
        for lifetime, seconds in (("3 d", 3 * 86400), ("0", None), ("1 h", 3600)):
            made.reconfigure(makeSettings(c2s={"token_lifetime": lifetime}), {})
            offered = made.streams.features.offer(Stage.LOGIN, True, None)
            self.assertEqual(b"<fast xmlns='urn:xmpp:fast:0'>" in offered, seconds is not None)
            if seconds is not None:
                self.assertEqual(host.tokens.lifetime, seconds)

    def test_reconfigureContacts(self) -> None:
        """New contact addresses apply at once, those of each host."""
        hosts: dict[str, dict[str, str]] = {"host b.example": {}, "host c.example": {"contact_addresses": ""}}
        made = self.make(makeSettings(**hosts))
        self.successResultOf(made.open())
        made.reconfigure(makeSettings(server={"contact_addresses": "admin xmpp:a@localhost"}, **hosts), {})
        found = [host.handlers.contacts.addresses for host in made.hosts]
        self.assertEqual(found, [(("admin", "xmpp:a@localhost"),), (("admin", "xmpp:a@localhost"),), ()])

    def test_advertisedLimits(self) -> None:
        """Clients are told the limits of their streams, those in force, in both stages."""
        made = self.make(makeSettings())
        self.successResultOf(made.open())
        hour = "<idle-seconds>3600</idle-seconds>"
        for c2s, limits, idle in (
            ({}, {}, "<idle-seconds>180</idle-seconds>"),
            ({"keepalive": "0 s", "idle_timeout": "1 h"}, {"stanza_size": "128 KiB"}, hour),
            ({"keepalive": "2 h", "idle_timeout": "1 h"}, {}, hour),
            ({"keepalive": "0 s", "idle_timeout": "0 s"}, {"stanza_size_unauthenticated": "2 KiB"}, ""),
        ):
            settings = makeSettings(c2s=c2s, limits=limits)
            made.reconfigure(settings, {})
            for features in (made.streams.features, made.webSocket.features):
                for stage, size, seconds in (
                    (Stage.LOGIN, settings.limits.stanzaSizeUnauthenticated, ""),
                    (Stage.BINDING, settings.limits.stanzaSize, idle),
                ):
                    expected = f"<limits xmlns='{ns.STREAM_LIMITS}'><max-bytes>{size}</max-bytes>{seconds}</limits>"
                    self.assertIn(expected, features.offer(stage, False, None).decode())

    def test_bosh(self) -> None:
        """Sessions over BOSH are under TLS where that is required, and have the limit of other outboxes."""
        certificate, key = makeCertificate(".")
        for mode, required in (("off", False), ("required", True)):
            tls = {"certificate": certificate, "private_key": key}
            c2s = {"tls": mode, "allow_plaintext_auth": "no"}
            made = self.make(makeSettings(c2s=c2s, tls=tls, transport={"outbox_limit": "1 MiB"}))
            self.assertEqual((made.bosh.tlsRequired, made.bosh.outboxLimit), (True, 1024 * 1024))
            self.successResultOf(made.open())
            self.assertEqual(made.bosh.tlsRequired, required)
            self.assertIs(made.bosh.features, made.webSocket.features)

    def test_capabilities(self) -> None:
        """Clients that have logged in are told the capabilities of the server, the present ones."""
        made = self.make(makeSettings())
        self.successResultOf(made.open())
        versions = []
        for name in ("Verona", "Mantua"):
            made.reconfigure(makeSettings(server={"name": name}), {})
            for features in (made.streams.features, made.webSocket.features):
                self.assertNotIn(ns.CAPS, features.offer(Stage.LOGIN, False, None).decode())
                offered = features.offer(Stage.BINDING, False, None).decode()
                pattern = f"<c xmlns='{ns.CAPS}' hash='sha-1' node='urn:muccore:server' ver='(.+?)'/>"
                versions += re.findall(pattern, offered)
        self.assertEqual([versions.count(version) for version in versions], [2, 2, 2, 2])

    def test_reconfigureTLS(self) -> None:
        """A certificate that was not needed before is used at once."""
        made = self.make(makeSettings())
        self.successResultOf(made.open())
        settings = load(ConfigurationFile(self, c2s=ENCRYPTED).path)
        certificates = preflight.loadCertificates(settings)
        made.reconfigure(settings, certificates)
        self.assertIs(made.streams.features.tls, certificates["localhost"])
        self.assertEqual(made.streams.features.tlsMode, "required")

    def test_rooms(self) -> None:
        """The accounts' domain lists the rooms' domain among its items, by its configured name, also after a change."""
        made = self.make(makeSettings(muc={"name": "Verona"}))
        self.successResultOf(made.open())
        [disco] = [handler for handler in made.hosts[0].userDomain if isinstance(handler, DiscoInfoHandler)]
        for name in ("Verona", "Mantua"):
            made.reconfigure(makeSettings(muc={"name": name}), {})
            self.assertIn(("conference.localhost", name), list(disco._items()))
