# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.audit}."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import LogLevel, globalLogPublisher

from muccore.interfaces import AuditEntry, AuditQuery, StoreUnavailable
from muccore.muc.extensions.audit import EXPIRY_INTERVAL
from muccore.muc.model import privilegechanges
from muccore.muc.model.privilegechanges import AffiliationItem, PrivilegeChange, RoleItem
from muccore.muc.model.privileges import Affiliation, Role
from muccore.storage.memory import MemoryRooms
from muccore.storage.memoryaudit import MemoryAudit
from muccore.testing.doubles import WRITES, DelayedRoomStore
from muccore.testing.inmemory import InMemoryServer
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from tests.muc.extensions.retractions import moderate, retractAll, stanzaId
from tests.muc.muchelpers import (
    ROOM,
    MUCTestCase,
    affiliation,
    configure,
    execute,
    form,
    join,
    leave,
    register,
    role,
    sendAdmin,
    sendGroupchat,
    sendIQ,
    sendOwner,
)


class AuditTestCase(MUCTestCase):
    """
    A room of Romeo (the owner), Juliet and Tybalt, with an audit trail.

    @ivar trail: the store of audit trails.
    """

    def startServer(self, store: Any = None, **options: Any) -> None:
        """Start the server with a store of audit trails."""
        super().startServer(store, **options)
        self.trail = MemoryAudit()
        self.trail.open()
        self.server = InMemoryServer(store, audit=self.trail, **options)

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet, self.tybalt = self.login("romeo", "juliet", "tybalt")
        self.createRoom(self.romeo)
        self.enterAll(self.juliet, self.tybalt)

    def entries(self, **query: Any) -> list[AuditEntry]:
        """All entries, oldest first."""
        page = self.successResultOf(self.trail.query(AuditQuery(limit=99_999, **query)))
        return list(page.entries)[::-1]

    def noted(self) -> list[str]:
        """All entries, oldest first, as lines: kind, actor, target, reason and details."""
        return [
            " ".join(filter(None, [each.kind, f"by={each.actor.partition('@')[0]}", each.target, each.reason,
            *(f"{name}={value}" for name, value in each.details.items())]))
            for each in self.entries()
        ]  # fmt: skip

    def destroy(self, inside: str = "") -> None:
        """Let Romeo destroy the room."""
        sendOwner(self.romeo, f"<destroy>{inside}</destroy>")


class AuditTests(AuditTestCase):
    """What is noted."""

    def test_nothing(self) -> None:
        """Nothing is noted of what occupants say and do."""
        sendGroupchat(self.juliet, "<body>Hi</body>")
        sendGroupchat(self.romeo, "<subject>Love</subject>")
        leave(self.tybalt, "Tybalt")
        self.assertEqual(self.noted(), [])

    def test_kick(self) -> None:
        """A kick, with everything there is to know."""
        sendAdmin(self.romeo, role("Tybalt", "none", "Bites a thumb"))
        [entry] = self.entries()
        details = {"nick": "Tybalt", "from": "participant"}
        instance = self.room().settings.extensions["audit"]
        expected = AuditEntry(
            ROOM, instance, 1_000_000_000_000_000, "kick", "romeo@localhost", "tybalt@localhost", "Bites a thumb",
            details,
        )  # fmt: skip
        self.assertEqual(entry, expected)

    def test_roles(self) -> None:
        """Roles that are taken and given; one that stays is no change."""
        sendAdmin(self.romeo, role("Tybalt", "visitor", "Quiet"), role("Juliet", "moderator"))
        sendAdmin(self.juliet, role("Tybalt", "participant"))
        sendAdmin(self.romeo, role("Juliet", "moderator"))
        self.assertEqual(
            self.noted(),
            [
                "role by=romeo tybalt@localhost Quiet nick=Tybalt from=participant to=visitor",
                "role by=romeo juliet@localhost nick=Juliet from=participant to=moderator",
                "role by=juliet tybalt@localhost nick=Tybalt from=visitor to=participant",
            ],
        )

    def test_affiliations(self) -> None:
        """Bans, of domains as well, and what ends them; memberships and reserved nicks."""
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast", "Brawl"), affiliation("evil.lit", "outcast"))
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "none"))
        sendAdmin(self.romeo, affiliation("juliet@localhost", "member", nick="Capulet"))
        sendAdmin(self.romeo, affiliation("juliet@localhost", "member", nick="Montague"))
        sendAdmin(self.romeo, affiliation("juliet@localhost", "owner"), affiliation("nurse@localhost", "admin"))
        sendAdmin(self.romeo, affiliation("romeo@localhost", "member"))
        self.assertEqual(
            self.noted(),
            [
                "ban by=romeo tybalt@localhost Brawl from=none to=outcast",
                "ban by=romeo evil.lit from=none to=outcast",
                "affiliation by=romeo tybalt@localhost from=outcast to=none",
                "affiliation by=romeo juliet@localhost from=none to=member nick=Capulet",
                "affiliation by=romeo juliet@localhost from=member to=member nick=Montague",
                "affiliation by=romeo juliet@localhost from=member to=owner nick=Montague",
                "affiliation by=romeo nurse@localhost from=none to=admin",
                "affiliation by=romeo romeo@localhost from=owner to=member",
            ],
        )

    def test_newReason(self) -> None:
        """A new reason of a ban is noted, once, although the affiliation stays."""
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast", "Brawl"))
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast", "Murder"))
        register(self.juliet, "Capulet")
        sendAdmin(self.romeo, affiliation("juliet@localhost", "member", "Kin", nick="Capulet"))
        register(self.juliet, "Montague")
        self.assertEqual(
            self.noted(),
            [
                "ban by=romeo tybalt@localhost Brawl from=none to=outcast",
                "affiliation by=romeo tybalt@localhost Murder from=outcast to=outcast",
                "registration by=juliet juliet@localhost from=none to=member nick=Capulet",
                "affiliation by=romeo juliet@localhost Kin from=member to=member nick=Capulet",
                "registration by=juliet juliet@localhost from=member to=member nick=Montague",
            ],
        )

    def test_oneTwice(self) -> None:
        """Of several items about one occupant, what each has changed; after a kick there is nothing to change."""
        sendAdmin(self.romeo, role("Tybalt", "visitor"), role("Tybalt", "participant"))
        sendAdmin(self.romeo, role("Tybalt", "none"), role("Tybalt", "visitor"))
        self.assertEqual(
            self.noted(),
            [
                "role by=romeo tybalt@localhost nick=Tybalt from=participant to=visitor",
                "role by=romeo tybalt@localhost nick=Tybalt from=visitor to=participant",
                "kick by=romeo tybalt@localhost nick=Tybalt from=participant",
            ],
        )

    def test_hats(self) -> None:
        """Hats, and who gets them; a command that changes nothing is not noted."""
        teacher = {"hats#uri": "urn:hat:teacher", "hats#title": "Teacher"}
        tybalt = {"hats#uri": "urn:hat:teacher", "hats#jid": "tybalt@localhost"}
        commands = ("create", teacher), ("assign", tybalt), ("assign", tybalt), ("unassign", tybalt)
        for command, values in (*commands, ("destroy", {"hats#uri": "urn:hat:teacher"})):
            node = "urn:xmpp:hats:commands"
            execute(self.romeo, f"{node}:{command}", form(node, values))
        hat = "uri=urn:hat:teacher title=Teacher"
        self.assertEqual(
            self.noted(),
            [
                f"hat by=romeo done=created or changed {hat}",
                f"hat by=romeo tybalt@localhost done=given {hat}",
                f"hat by=romeo tybalt@localhost done=taken away {hat}",
                f"hat by=romeo done=destroyed {hat}",
            ],
        )

    def test_together(self) -> None:
        """Changes that are committed at the same time are noted with the actor of each."""
        store = DelayedRoomStore(self.server.store)
        self.server.muc.rooms.store = store
        sendAdmin(self.romeo, affiliation("a@x", "member"))
        register(self.juliet, "Capulet")
        self.assertEqual(len(store.held), 2)
        store.release()
        self.assertEqual(
            self.noted(),
            [
                "affiliation by=romeo a@x from=none to=member",
                "registration by=juliet juliet@localhost from=none to=member nick=Capulet",
            ],
        )

    def test_refused(self) -> None:
        """What was refused, or could not be stored, is not noted; nor does the next change get its actor."""
        sendAdmin(self.juliet, role("Tybalt", "none"))
        sendAdmin(self.romeo, role("Tybalt", "none"), affiliation("romeo@localhost", "none"))
        configure(self.juliet, membersonly=True)
        configure(self.romeo, roomname="x" * 999)
        self.patch(MemoryRooms, "change", lambda *args: fail(StoreUnavailable("test")))
        self.patch(MemoryRooms, "destroy", lambda *args: fail(StoreUnavailable("test")))
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast"))
        configure(self.romeo, membersonly=True)
        self.destroy()
        self.assertEqual(self.noted(), [])
        self.server.muc.carryOut(self.room(), ROOM, PrivilegeChange(None, {"a@x": None}, {"a@x": "The end"}))
        self.assertEqual(self.noted(), ["affiliation by= a@x The end to=none"])
        # The room ends by being empty, after somebody has tried to destroy it.
        for nick, client in (("Tybalt", self.tybalt), ("Juliet", self.juliet), ("Romeo", self.romeo)):
            leave(client, nick)
        self.assertNotIn(ROOM, self.server.muc.rooms.live)
        self.assertEqual(len(self.noted()), 1)

    def test_byTheRoom(self) -> None:
        """What nobody requested is done by the room itself."""
        room = self.room()
        plan = privilegechanges.plan(
            room,
            parse("romeo@localhost/a"),
            [AffiliationItem(parse("tybalt@localhost"), Affiliation.OUTCAST, None, "Time"),
            RoleItem("Juliet", Role.VISITOR)],
        )  # fmt: skip
        plan.actor = None
        self.server.muc.carryOut(room, ROOM, plan)
        self.assertEqual(
            self.noted(),
            ["ban by= tybalt@localhost Time to=outcast", "role by= juliet@localhost nick=Juliet to=visitor"],
        )

    def test_timed(self) -> None:
        """What is given for a time, by whom; what ends it is the room itself. Mutes are of absent users, too."""
        for node, fields in (
            ("ban", {"jid": "evil@x", "duration": "2m", "reason": "Spam"}),
            ("mute", {"jid": "absent@x", "duration": "1h", "reason": "Noise"}),
            ("mute", {"jid": "tybalt@localhost", "duration": "1m"}),
            ("unmute", {"jid": "absent@x"}),
        ):
            inside = form("x-muc#timed", fields)
            sendIQ(self.romeo, "set", f"<command xmlns='{ns.COMMANDS}' node='x-muc#{node}'>{inside}</command>")
        self.server.clock.pump([60] * 3)
        self.assertEqual(
            self.noted(),
            [
                "ban by=romeo evil@x Spam (until 2001-09-09T01:48:40Z) from=none to=outcast",
                "mute by=romeo absent@x Noise until=2001-09-09T02:46:40Z",
                "role by=romeo tybalt@localhost until 2001-09-09T01:47:40Z nick=Tybalt from=participant to=visitor",
                "mute by=romeo tybalt@localhost until=2001-09-09T01:47:40Z",
                "unmute by=romeo absent@x",
                "role by= tybalt@localhost The mute is over. nick=Tybalt to=participant",
                "affiliation by= evil@x The ban is over. to=none",
            ],
        )

    def test_registration(self) -> None:
        """Users who register, change their nick and unregister."""
        for nick in ("Capulet", "Montague", None):
            register(self.juliet, nick)
        self.assertEqual(
            self.noted(),
            [
                "registration by=juliet juliet@localhost from=none to=member nick=Capulet",
                "registration by=juliet juliet@localhost from=member to=member nick=Montague",
                "registration by=juliet juliet@localhost from=member to=none",
            ],
        )

    def test_membershipRequests(self) -> None:
        """An admin's decisions about those who ask to become members."""
        configure(self.romeo, membersonly=True, **{"x-muc#roomconfig_selfregistration": "approval"})
        for name, allowed in (("nurse", False), ("paris", True)):
            [client] = self.login(name)
            register(client, name)
            fields = {"x-muc#register_jid": f"{name}@localhost", "muc#register_allow": allowed}
            self.romeo.sends(f"<message to='{ROOM}'>{form(ns.MUC_REGISTER, fields)}</message>")
        self.assertEqual(
            self.noted()[-2:],
            [
                "registration by=romeo nurse@localhost decision=refused",
                "affiliation by=romeo paris@localhost from=none to=member nick=paris",
            ],
        )

    def test_invitation(self) -> None:
        """An invitation into a members-only room makes a member."""
        configure(self.romeo, membersonly=True)
        invite = "<invite to='nurse@localhost'><reason>Come</reason></invite>"
        self.romeo.sends(f"<message to='{ROOM}'><x xmlns='{ns.MUC_USER}'>{invite}</x></message>")
        self.assertEqual(self.noted()[1:], ["affiliation by=romeo nurse@localhost from=none to=member"])

    def test_configuration(self) -> None:
        """The names of changed settings, without their values; passwords do not appear anywhere."""
        configure(self.romeo, roomname="Secret garden", roomsecret="sesame", passwordprotectedroom=True)
        configure(self.romeo, roomname="Secret garden")
        self.assertEqual(
            self.noted(), ["configuration by=romeo changed=muc#roomconfig_roomname muc#roomconfig_roomsecret"]
        )
        configure(self.romeo, roomadmins="juliet@localhost")
        self.assertEqual(self.noted()[1:], ["affiliation by=romeo juliet@localhost from=none to=admin"])
        self.assertNotRegex(repr([(each, each.reason, each.details) for each in self.entries()]), "sesame|Secret")

    def test_firstConfiguration(self) -> None:
        """What differs from the defaults in a new room."""
        other = f"new@{ROOM.partition('@')[2]}"
        join(self.romeo, "Romeo", to=other)
        configure(self.romeo, to=other, membersonly=True)
        self.assertEqual(self.noted(), ["configuration by=romeo changed=muc#roomconfig_membersonly"])

    def test_vCard(self) -> None:
        """A new vCard."""
        sendIQ(self.romeo, "set", f"<vCard xmlns='{ns.VCARD_TEMP}'><FN>Garden</FN></vCard>")
        self.assertEqual(self.noted(), ["configuration by=romeo changed=vCard"])

    def test_retraction(self) -> None:
        """Moderated retractions; nothing of what they retract, and none of what users retract themselves."""
        for text in ("secret", "more"):
            sendGroupchat(self.juliet, f"<body>{text}</body>", "m")
        id = stanzaId(self.romeo.received()[-1])
        moderate(self.romeo, id, "Spam")
        retractAll(self.romeo, "nick='Juliet'", "All spam")
        sendGroupchat(self.tybalt, "<body>Hi</body>", "m2")
        retractAll(self.tybalt)
        self.assertEqual(
            self.noted(),
            [f"retraction by=romeo juliet@localhost {reason} count=1" for reason in ("Spam", "All spam")],
        )

    def test_destruction(self) -> None:
        """Who has destroyed the room, and why; not the password of the other room. The trail stays."""
        sendAdmin(self.romeo, role("Tybalt", "none"))
        venue = f"other@{ROOM.partition('@')[2]}"
        sendOwner(self.romeo, f"<destroy jid='{venue}'><reason>Plague</reason><password>sesame</password></destroy>")
        self.assertEqual(self.noted()[1:], [f"destruction by=romeo Plague venue={venue}"])

    def test_ended(self) -> None:
        """A room that ends because nobody is left was destroyed by nobody; nor was one that was never configured."""
        for nick, client in (("Tybalt", self.tybalt), ("Juliet", self.juliet), ("Romeo", self.romeo)):
            leave(client, nick)
        join(self.romeo, "Romeo")
        sendOwner(self.romeo, "<x xmlns='jabber:x:data' type='cancel'/>")
        join(self.romeo, "Romeo")
        self.destroy()
        self.assertEqual(self.noted(), [])

    def test_instances(self) -> None:
        """A room of the name of an earlier one has a trail of its own, also after it was loaded again."""
        configure(self.romeo, persistentroom=True)
        first = self.room().settings.extensions["audit"]
        leave(self.tybalt, "Tybalt")
        self.assertEqual(self.record().settings["extension:audit"], first)  # type: ignore[union-attr]
        self.destroy()
        self.createRoom(self.romeo)
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast"))
        second = self.room().settings.extensions["audit"]
        self.assertNotEqual(first, second)
        self.assertEqual([each.kind for each in self.entries(instance=first)], ["configuration", "destruction"])
        self.assertEqual([each.kind for each in self.entries(instance=second)], ["ban"])


class DurabilityTests(AuditTestCase):
    """When it is noted, and what if that fails."""

    def startServer(self, store: Any = None, **options: Any) -> None:
        """Start the server with a slow store of rooms."""
        self.store = DelayedRoomStore(MemoryRooms())
        self.store.holding = frozenset()
        super().startServer(self.store, **options)

    def test_afterCommit(self) -> None:
        """A change is noted once it is durable, and in the same turn."""
        self.store.holding = WRITES
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast"))
        self.assertEqual(self.noted(), [])
        self.store.release()
        self.assertEqual(self.noted(), ["ban by=romeo tybalt@localhost from=none to=outcast"])

    def test_failure(self) -> None:
        """If the trail cannot be written, that is logged, once a minute; the change holds."""
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.trail.close()
        for nick in ("Juliet", "Tybalt"):
            sendAdmin(self.romeo, role(nick, "none"))
        self.assertEqual(list(self.room().occupants), ["Romeo"])
        lost = [event for event in events if event["log_level"] is LogLevel.error]
        self.assertEqual([event["count"] for event in lost], [1])
        self.server.clock.advance(61)
        sendAdmin(self.romeo, affiliation("a@x", "outcast"), affiliation("b@x", "outcast"))
        lost = [event for event in events if event["log_level"] is LogLevel.error]
        self.assertEqual([event["count"] for event in lost], [1, 3])


class ExpiryTests(AuditTestCase):
    """How long entries are kept."""

    def startServer(self, store: Any = None, **options: Any) -> None:
        """Keep entries for a day."""
        super().startServer(store, auditRetention=86400, **options)

    def test_expired(self) -> None:
        """Old entries are deleted, again and again, until the service ends."""
        sendAdmin(self.romeo, role("Tybalt", "none"))
        self.server.clock.advance(80_000)
        sendAdmin(self.romeo, role("Juliet", "none"))
        self.assertEqual(len(self.entries()), 2)
        self.server.clock.pump([EXPIRY_INTERVAL] * 2)
        self.assertEqual([each.target for each in self.entries()], ["juliet@localhost"])
        self.server.clock.pump([EXPIRY_INTERVAL] * 5)
        self.assertEqual(self.entries(), [])
        self.server.muc.shutDown(True)
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """After a failure it is tried again."""
        sendAdmin(self.romeo, role("Tybalt", "none"))
        failing: list[Deferred[int]] = [fail(StoreUnavailable("test"))]
        expire = self.trail.expire
        self.patch(self.trail, "expire", lambda before: failing.pop() if failing else expire(before))
        self.server.clock.advance(90_000)
        self.assertEqual(len(self.entries()), 1)
        self.server.clock.advance(EXPIRY_INTERVAL)
        self.assertEqual(self.entries(), [])
