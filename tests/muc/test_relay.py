# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.relay}: IQs between occupants (XEP-0045 §6.6, §17.4, XEP-0410).
"""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.element import Element, render
from muccore.jid import parse
from muccore.muc import relay
from muccore.muc.occupant import Occupant
from muccore.muc.privileges import Affiliation, Role
from muccore.muc.relay import Relay
from muccore.testing.stage import Client, parseStanza
from tests.muc.company import ROOM, Listener, Scene, told

VERSION = f"<query xmlns='{ns.VERSION}'/>"


class RelayTests(SynchronousTestCase):
    """
    What is remembered of requests.
    """

    def setUp(self) -> None:
        """
        Romeo and Juliet are in a room.
        """
        self.relay = Relay()
        self.romeo, self.juliet = (
            Occupant(parse(ROOM), name.title(), parse(f"{name}@localhost"), Affiliation.NONE, Role.PARTICIPANT)
            for name in ("romeo", "juliet")
        )
        self.seat = self.romeo.seat("romeo@localhost/a", Listener().deliver, b"")
        self.juliet.seat("juliet@localhost/b", Listener().deliver, b"")

    def ask(self, id: str = "1", payload: str = VERSION) -> Element:
        """
        Let Romeo ask Juliet.
        """
        iq = parseStanza(f"<iq type='get' id='{id}' from='romeo@localhost/a' to='{ROOM}/Juliet'>{payload}</iq>")
        return self.relay.request(iq, self.seat, self.juliet)

    def answer(self, id: str, sender: str = "juliet@localhost/b") -> str | None:
        """
        Let somebody answer.
        """
        iq = parseStanza(f"<iq type='result' id='{id}' from='{sender}' to='{ROOM}/Romeo'/>")
        answer = self.relay.answer(iq)
        return render(answer).decode() if answer is not None else None

    def test_once(self) -> None:
        """
        An answer passes once, and only from who was asked.
        """
        id = self.ask().attributes["id"]
        self.assertIsNone(self.answer(id, "paris@localhost/c"))
        self.assertIsNone(self.answer("1"))
        self.assertEqual(
            self.answer(id), f"<iq type='result' id='1' from='{ROOM}/Juliet' to='romeo@localhost/a'/>"
        )
        self.assertIsNone(self.answer(id))

    def test_ids(self) -> None:
        """
        Nobody can guess by the id what another one was given; equal ids of the askers are kept apart.
        """
        ids = {self.ask().attributes["id"] for _ in range(100)}
        self.assertEqual(len(ids), 100)
        self.assertGreaterEqual(min(map(len, ids)), 16)

    def test_bounded(self) -> None:
        """
        No more than so many requests are remembered; the eldest is forgotten first.
        """
        with patch.object(relay, "LIMIT", 3):
            ids = [self.ask(str(n)).attributes["id"] for n in range(4)]
        self.assertIsNone(self.answer(ids[0]))
        for id in ids[1:]:
            self.assertIsNotNone(self.answer(id))

    def test_oneAccount(self) -> None:
        """
        An account that asks and asks makes its own eldest requests be forgotten, with whatever session it asks, and
        nobody else's; what has been answered does not count.
        """
        hecate = Occupant(parse(ROOM), "Hecate", parse("hecate@localhost"), Affiliation.NONE, Role.PARTICIPANT)
        seats = [hecate.seat(f"hecate@localhost/{n}", Listener().deliver, b"") for n in range(2)]
        waiting = self.ask().attributes["id"]
        with patch.object(relay, "ACCOUNT_LIMIT", 3):
            ids = []
            for n in range(4):
                iq = parseStanza(f"<iq type='get' id='{n}'>{VERSION}</iq>")
                ids.append(self.relay.request(iq, seats[n % 2], self.juliet).attributes["id"])
            self.assertIsNone(self.answer(ids[0]))
            self.assertIsNotNone(self.answer(ids[1]))
            iq = parseStanza(f"<iq type='get' id='4'>{VERSION}</iq>")
            ids.append(self.relay.request(iq, seats[0], self.juliet).attributes["id"])
        for id in (waiting, *ids[2:]):
            self.assertIsNotNone(self.answer(id))


class RelayedTests(SynchronousTestCase):
    """
    Requests through a whole server.
    """

    def setUp(self) -> None:
        """
        Romeo, and Juliet with two sessions, are in.
        """
        self.scene = Scene()
        self.romeo = self.scene.guest("romeo", "Romeo")
        self.phone = self.scene.guest("juliet/a", "Juliet")
        self.juliet = self.scene.guest("juliet/b", "Juliet")

    def ask(self, client: Client, to: str, payload: str = VERSION, type: str = "get") -> None:
        """
        Let somebody ask something.
        """
        client.sends(f"<iq type='{type}' id='7' to='{ROOM}/{to}'>{payload}</iq>")

    def asked(self, client: Client) -> Element:
        """
        What somebody was asked.
        """
        [iq] = client.hears()
        return iq

    def test_bothWays(self) -> None:
        """
        The question comes to the session that is shown, from the asker's occupant JID; the answer to who asked, from
        the occupant JID that he asked. Neither sees a real JID of the other.
        """
        for type in ("get", "set"):
            self.ask(self.romeo, "Juliet", type=type)
            iq = self.asked(self.juliet)
            self.assertEqual(
                (iq.get("from"), iq.get("to"), iq.get("type")), (f"{ROOM}/Romeo", "juliet@localhost/b", type)
            )
            self.assertNotIn("romeo@", render(iq).decode())
            self.juliet.sends(
                f"<iq type='result' id='{iq.get('id')}' to='{iq.get('from')}'>"
                f"<query xmlns='{ns.VERSION}'><name>x</name></query></iq>"
            )
            self.assertEqual(
                [render(stanza).decode() for stanza in self.romeo.hears()],
                [
                    f"<iq to='romeo@localhost/r' type='result' id='7' from='{ROOM}/Juliet'>"
                    f"<query xmlns='{ns.VERSION}'><name>x</name></query></iq>"
                ],
            )
        self.assertEqual(told(self.phone), [])

    def test_error(self) -> None:
        """
        An error comes back likewise, and does not say who refuses.
        """
        self.ask(self.romeo, "Juliet")
        iq = self.asked(self.juliet)
        self.juliet.sends(
            f"<iq type='error' id='{iq.get('id')}' to='{ROOM}/Romeo'><error type='auth' by='juliet@localhost/b'>"
            f"<forbidden xmlns='{ns.STANZA_ERRORS}'/></error></iq>"
        )
        [answer] = self.romeo.hears()
        self.assertEqual((answer.get("id"), answer.get("from"), answer.get("type")), ("7", f"{ROOM}/Juliet", "error"))
        self.assertNotIn("juliet@", render(answer).decode())

    def test_vCard(self) -> None:
        """
        A vCard is asked of the account, and the answer, here that there is none, shows no real JID.
        """
        self.ask(self.romeo, "Juliet", f"<vCard xmlns='{ns.VCARD_TEMP}'/>")
        [answer] = self.romeo.hears()
        self.assertEqual((answer.get("id"), answer.get("from"), answer.get("type")), ("7", f"{ROOM}/Juliet", "error"))
        self.assertNotIn("juliet@", render(answer).decode())
        self.assertEqual(told(self.juliet) + told(self.phone), [])

    def test_renamedMeanwhile(self) -> None:
        """
        The answer comes from the address that was asked, whatever the nick is by then.
        """
        self.ask(self.romeo, "Juliet")
        iq = self.asked(self.juliet)
        self.juliet.sends(f"<presence to='{ROOM}/J'/>")
        self.romeo.hears()
        self.juliet.sends(f"<iq type='result' id='{iq.get('id')}' to='{ROOM}/Romeo'/>")
        self.assertEqual(told(self.romeo), ["Juliet result 7"])

    def test_notAsked(self) -> None:
        """
        An answer to what nobody has asked is dropped.
        """
        for type in ("result", "error"):
            self.juliet.sends(f"<iq type='{type}' id='x' to='{ROOM}/Romeo'/>")
            self.juliet.sends(f"<iq type='{type}' id='x' to='other@conference.localhost/Romeo'/>")
        self.assertEqual(told(self.romeo) + told(self.juliet), [])

    def test_nobody(self) -> None:
        """
        To ask a nick that nobody has is C{item-not-found}.
        """
        self.ask(self.romeo, "Nobody")
        self.assertEqual(told(self.romeo), [f"Nobody iq error item-not-found cancel {ROOM}"])

    def test_stranger(self) -> None:
        """
        Who is not in asks nobody: C{bad-request} for service discovery (§6.6), C{not-acceptable} else; and does not
        learn who is in.
        """
        stranger = self.scene.person("stranger")
        for nick in ("Juliet", "Nobody"):
            for uri in (ns.DISCO_INFO, ns.DISCO_ITEMS):
                self.ask(stranger, nick, f"<query xmlns='{uri}'/>")
                self.assertEqual(told(stranger), [f"{nick} iq error bad-request modify {ROOM}"])
            self.ask(stranger, nick)
            [line] = told(stranger)
            self.assertIn("iq error not-acceptable", line)
        self.assertEqual(told(self.juliet) + told(self.phone), [])

    def test_selfPing(self) -> None:
        """
        Who pings himself is answered by the room (XEP-0410 §3.2): it is he who is in, not just his nick.
        """
        ping = f"<ping xmlns='{ns.PING}'/>"
        for client in (self.phone, self.juliet):
            self.ask(client, "Juliet", ping)
            self.assertEqual(told(client), ["Juliet result 7"])
        tablet = self.scene.person("juliet/c")
        self.ask(tablet, "Juliet", ping)
        [line] = told(tablet)
        self.assertTrue(line.startswith("Juliet iq error not-acceptable "), line)
        self.assertTrue(line.endswith(f" {ROOM}"), line)
        self.assertEqual(told(self.juliet) + told(self.phone), [])

    def test_otherPing(self) -> None:
        """
        To ping somebody else is to ask him.
        """
        self.ask(self.romeo, "Juliet", f"<ping xmlns='{ns.PING}'/>")
        iq = self.asked(self.juliet)
        self.assertIsNotNone(iq.child("ping", ns.PING))
        self.assertEqual(told(self.romeo), [])

    def test_oneself(self) -> None:
        """
        Anything else that one asks oneself goes to the session that is shown.
        """
        self.ask(self.phone, "Juliet")
        self.assertEqual(self.asked(self.juliet).get("from"), f"{ROOM}/Juliet")
