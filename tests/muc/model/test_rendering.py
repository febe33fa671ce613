# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.rendering}: presence as a room sends it, byte for byte."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.heldplaces import HeldRoute
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.rendering import Actor, OccupantPresence, extractPresencePayload, item, statusCodes
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import Rendered

ROOM = parse("room@conference.localhost")
TO = b" to='x@y/z'"


class PayloadTests(SynchronousTestCase):
    """What is passed on of presence."""

    def payload(self, inside: str, attributes: str = "") -> str:
        """What is passed on of a presence with these children."""
        return extractPresencePayload(parseStanza(f"<presence{attributes}>{inside}</presence>"), ROOM).decode()

    def test_everything(self) -> None:
        """All children are passed on in order, known or not; white space between them is not (§17.3)."""
        inside = (
            "<show>xa</show><status>gone &amp; away</status><priority>5</priority>"
            "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='v'/><y xmlns='urn:y'><z/></y>"
        )
        self.assertEqual(self.payload(inside.replace("><c", "> <c")), inside)

    def test_language(self) -> None:
        """
        The language of the stanza is added to children that contain text and have none of their own (§13; RFC 6120
        §8.1.5).
        """
        self.assertEqual(
            self.payload(
                "<show>xa</show><status>weg</status><status xml:lang='en'>gone</status><priority>1</priority>"
                "<nick xmlns='http://jabber.org/protocol/nick'>x</nick>",
                " xml:lang='de'",
            ),
            "<show>xa</show><status xml:lang='de'>weg</status><status xml:lang='en'>gone</status>"
            "<priority>1</priority><nick xmlns='http://jabber.org/protocol/nick' xml:lang='de'>x</nick>",
        )

    def test_noLanguage(self) -> None:
        """A language longer than any tag is dropped, so that it is not repeated for many children."""
        for length, expected in ((64, f"<status xml:lang='{'x' * 64}'/>"), (65, "<status/>")):
            self.assertEqual(self.payload("<status/>", f" xml:lang='{'x' * length}'"), expected)


class ItemTests(SynchronousTestCase):
    """The item and the codes."""

    def test_item(self) -> None:
        """An item has what is known and nothing else, escaped."""
        self.assertEqual(item(Affiliation.NONE), b"<item affiliation='none'/>")
        self.assertEqual(
            item(Affiliation.OUTCAST, Role.NONE, "a'b@x/<", "n'", Actor("c@x", "A'"), "1 < 2 & 3"),
            b"<item affiliation='outcast' role='none' jid='a&apos;b@x/&lt;' nick='n&apos;'>"
            b"<actor nick='A&apos;'/><reason>1 &lt; 2 &amp; 3</reason></item>",
        )

    def test_codes(self) -> None:
        """Codes are in ascending order."""
        self.assertEqual(statusCodes({210, 100}), b"<status code='100'/><status code='210'/>")
        self.assertEqual(statusCodes(()), b"")


class NoticeTests(SynchronousTestCase):
    """One presence as different occupants receive it."""

    def setUp(self) -> None:
        """Romeo is in with two sessions."""
        self.romeo = Occupant(ROOM, "Romeo", parse("romeo@localhost"), Affiliation.MEMBER, Role.PARTICIPANT)
        self.first = self.romeo.addSession("romeo@localhost/a", HeldRoute(False), b"<show>away</show>")
        self.second = self.romeo.addSession("romeo@localhost/b", HeldRoute(False), b"<show>dnd</show>")

    def assertPresence(self, rendered: Rendered, attributes: str, inside: str) -> None:
        """A rendered presence is exactly this."""
        self.assertEqual(rendered.addressed(TO).decode(), f"<presence to='x@y/z'{attributes}>{inside}</presence>")

    def test_available(self) -> None:
        """
        Others see the presence of the session that is shown, with an item for each session, that one's first, or one
        without JID; each own session sees its own item first, 110, and the id of its request.
        """
        notice = OccupantPresence(self.romeo)
        x = f"<show>dnd</show><x xmlns='{ns.MUC_USER}'><item affiliation='member' role='participant'"
        sender = " from='room@conference.localhost/Romeo'"
        self.assertPresence(notice.withoutJID(), sender, f"{x}/></x>")
        item = "<item affiliation='member' role='participant'"
        other = f"{item} jid='romeo@localhost/a'/>"
        self.assertPresence(notice.withJID(), sender, f"{x} jid='romeo@localhost/b'/>{other}</x>")
        other = f"{item} jid='romeo@localhost/b'/>"
        own = f"{x} jid='romeo@localhost/a'/>{other}<status code='110'/></x>"
        self.assertPresence(notice.toSelf(self.first), sender, own)
        self.assertPresence(notice.toSelf(self.first, id="1'"), f" id='1&apos;'{sender}", own)

    def test_manySessions(self) -> None:
        """Presence shows a limited number of sessions, among them the one that is shown, and the own one."""
        for number in range(100):
            last = self.romeo.addSession(f"romeo@localhost/{number}", HeldRoute(False), b"")
        notice = OccupantPresence(self.romeo)
        for rendered, jid in ((notice.withJID(), last.jid), (notice.toSelf(self.second), self.second.jid)):
            jids = re.findall("<item [^>]*jid='([^']*)'", rendered.tail.decode())
            self.assertEqual((jids[0], len(jids), len(set(jids))), (jid, 51, 51))

    def test_actor(self) -> None:
        """
        The actor's bare JID is for those who may see real JIDs, the nick for all (§9.1); nothing is left for others
        of an actor who is not in the room.
        """
        for nick, public, private in (
            ("A", "<actor nick='A'/>", "<actor nick='A' jid='c&amp;@x'/>"),
            (None, "", "<actor jid='c&amp;@x'/>"),
        ):
            notice = OccupantPresence(self.romeo, actor=Actor("c&@x", nick))
            self.second.seesJIDs = True
            for rendered, actor in (
                (notice.withoutJID(), public),
                (notice.withJID(), private),
                (notice.toSelf(self.first), public),
                (notice.toSelf(self.second), private),
            ):
                found = re.search("<actor[^>]*>", rendered.tail.decode())
                self.assertEqual(found[0] if found else "", actor)

    def test_codes(self) -> None:
        """Public codes go to everybody, private ones to the occupant alone; so for one session alone."""
        notice = OccupantPresence(self.romeo, codes=(307,), payload=b"", session=self.second)
        x = f"<x xmlns='{ns.MUC_USER}'><status code='%s'/><item affiliation='member' role='participant'"
        sender = " from='room@conference.localhost/Romeo'"
        self.assertPresence(notice.withoutJID(), sender, f"{x % 307}/></x>")
        self.assertPresence(
            notice.toSelf(self.second, (201, 100)),
            sender,
            f"{x % '100'} jid='romeo@localhost/b'/><status code='110'/></x>".replace(
                "<item", "<status code='201'/><status code='307'/><item"
            ),
        )

    def test_moment(self) -> None:
        """A notice keeps the state of the moment in which it was made."""
        notice = OccupantPresence(self.romeo)
        before = notice.withJID().tail
        self.romeo.rename(ROOM, "R")
        self.romeo.role = Role.VISITOR
        self.romeo.addSession("romeo@localhost/c", HeldRoute(False), b"")
        self.assertEqual(notice.withJID().tail, before)
