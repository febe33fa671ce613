# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.faces}: presence as a room sends it, byte for byte.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.element import Rendered
from muccore.jid import parse
from muccore.muc.faces import Notice, item, payloadOf, statusCodes
from muccore.muc.occupant import Occupant
from muccore.muc.privileges import Affiliation, Role
from muccore.testing.stage import parseStanza
from tests.muc.company import Listener

ROOM = parse("room@conference.localhost")
TO = b" to='x@y/z'"


class PayloadTests(SynchronousTestCase):
    """
    What a room passes on of somebody's presence.
    """

    def payload(self, inside: str, attributes: str = "") -> str:
        """
        What is passed on of a presence.
        """
        return payloadOf(parseStanza(f"<presence{attributes}>{inside}</presence>"), ROOM).decode()

    def test_everything(self) -> None:
        """
        Everything passes, known or not, in its order; only white space between it does not (§17.3).
        """
        inside = (
            "<show>xa</show><status>gone &amp; away</status><priority>5</priority>"
            "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='v'/><y xmlns='urn:y'><z/></y>"
        )
        self.assertEqual(self.payload(inside.replace("><c", "> <c")), inside)

    def test_reserved(self) -> None:
        """
        What is said to the room, or would be said in its name, does not: C{muc}, C{muc#user}, its own delay.
        """
        for text in (
            f"<x xmlns='{ns.MUC}'><password>secret</password></x>",
            f"<x xmlns='{ns.MUC_USER}'><item affiliation='owner' role='moderator'/><status code='110'/></x>",
            f"<item xmlns='{ns.MUC_USER}' affiliation='owner'/>",
            f"<delay xmlns='{ns.DELAY}' from='ROOM@conference.localhost' stamp='2002-09-10T23:08:25Z'/>",
        ):
            self.assertEqual(self.payload(f"{text}<show>dnd</show>{text}"), "<show>dnd</show>")

    def test_language(self) -> None:
        """
        The language of the stanza goes with what is in a language, unless that has its own (§13; RFC 6120 §8.1.5).
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
        """
        What is longer than any language's tag is none, so that it is not multiplied by many children.
        """
        for length, expected in ((64, f"<status xml:lang='{'x' * 64}'/>"), (65, "<status/>")):
            self.assertEqual(self.payload("<status/>", f" xml:lang='{'x' * length}'"), expected)


class ItemTests(SynchronousTestCase):
    """
    The item and the codes.
    """

    def test_item(self) -> None:
        """
        An item has what is known and nothing else, and everything in it is escaped.
        """
        self.assertEqual(item(Affiliation.NONE), b"<item affiliation='none'/>")
        self.assertEqual(
            item(Affiliation.OUTCAST, Role.NONE, "a'b@x/<", "n'", "A'", "1 < 2 & 3"),
            b"<item affiliation='outcast' role='none' jid='a&apos;b@x/&lt;' nick='n&apos;'>"
            b"<actor nick='A&apos;'/><reason>1 &lt; 2 &amp; 3</reason></item>",
        )

    def test_emptyReason(self) -> None:
        """
        An empty reason is none.
        """
        self.assertEqual(item(Affiliation.NONE, reason=""), b"<item affiliation='none'/>")

    def test_codes(self) -> None:
        """
        Codes come in rising order.
        """
        self.assertEqual(statusCodes({210, 100}), b"<status code='100'/><status code='210'/>")
        self.assertEqual(statusCodes(()), b"")


class NoticeTests(SynchronousTestCase):
    """
    One presence in its faces.
    """

    def setUp(self) -> None:
        """
        Romeo is in with two sessions.
        """
        self.romeo = Occupant(ROOM, "Romeo", parse("romeo@localhost"), Affiliation.MEMBER, Role.PARTICIPANT)
        deliver = Listener().deliver
        self.first = self.romeo.seat("romeo@localhost/a", deliver, b"<show>away</show>")
        self.second = self.romeo.seat("romeo@localhost/b", deliver, b"<show>dnd</show>")

    def shows(self, rendered: Rendered, attributes: str, inside: str) -> None:
        """
        See that a presence is exactly this.
        """
        self.assertEqual(
            rendered.addressed(TO).decode(),
            f"<presence to='x@y/z'{attributes}>{inside}</presence>",
        )

    def test_available(self) -> None:
        """
        Others see the shown session's presence, with its full JID or without; each own session sees its own full JID
        and 110, and the id of what it has asked.
        """
        notice = Notice(self.romeo)
        x = f"<show>dnd</show><x xmlns='{ns.MUC_USER}'><item affiliation='member' role='participant'"
        sender = " from='room@conference.localhost/Romeo'"
        self.shows(notice.anonymous(), sender, f"{x}/></x>")
        self.shows(notice.identified(), sender, f"{x} jid='romeo@localhost/b'/></x>")
        own = f"{x} jid='romeo@localhost/a'/><status code='110'/></x>"
        self.shows(notice.own(self.first), sender, own)
        self.shows(notice.own(self.first, id="1'"), f" id='1&apos;'{sender}", own)

    def test_codes(self) -> None:
        """
        What concerns everybody everybody is told; what concerns oneself nobody else is told.
        """
        notice = Notice(self.romeo, codes=(307,), payload=b"")
        x = f"<x xmlns='{ns.MUC_USER}'><status code='%s'/><item affiliation='member' role='participant'"
        sender = " from='room@conference.localhost/Romeo'"
        self.shows(notice.anonymous(), sender, f"{x % 307}/></x>")
        self.shows(
            notice.own(self.second, (201, 100)),
            sender,
            f"{x % '100'} jid='romeo@localhost/b'/><status code='110'/></x>".replace(
                "<item", "<status code='201'/><status code='307'/><item"
            ),
        )

    def test_leaving(self) -> None:
        """
        Who leaves has the role none (§7.14) and nothing else to say; his affiliation stays what it is.
        """
        notice = Notice(self.romeo, leaving=True, actor="Juliet", reason="late")
        self.shows(
            notice.identified(),
            " from='room@conference.localhost/Romeo' type='unavailable'",
            f"<x xmlns='{ns.MUC_USER}'><item affiliation='member' role='none' jid='romeo@localhost/b'>"
            "<actor nick='Juliet'/><reason>late</reason></item></x>",
        )

    def test_renamed(self) -> None:
        """
        Who only takes another nick keeps his role in the unavailable presence as well (§7.6).
        """
        notice = Notice(self.romeo, leaving=True, codes=(303,), nick="R")
        self.shows(
            notice.anonymous(),
            " from='room@conference.localhost/Romeo' type='unavailable'",
            f"<x xmlns='{ns.MUC_USER}'><status code='303'/>"
            "<item affiliation='member' role='participant' nick='R'/></x>",
        )

    def test_others(self) -> None:
        """
        Another affiliation and another child can be shown.
        """
        notice = Notice(self.romeo, leaving=True, affiliation=Affiliation.NONE, extra=b"<destroy/>")
        self.shows(
            notice.anonymous(),
            " from='room@conference.localhost/Romeo' type='unavailable'",
            f"<x xmlns='{ns.MUC_USER}'><item affiliation='none' role='none'/><destroy/></x>",
        )

    def test_moment(self) -> None:
        """
        A notice is of the moment in which it was made.
        """
        notice = Notice(self.romeo)
        before = notice.identified().tail
        self.romeo.rename(ROOM, "R")
        self.romeo.role = Role.VISITOR
        self.romeo.seat("romeo@localhost/c", Listener().deliver, b"")
        self.assertEqual(notice.identified().tail, before)
