# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.vcards} (XEP-0054, XEP-0153)."""

from __future__ import annotations

import hashlib

from muccore.im.rosters import PlannedChange
from muccore.im.userstate import CARD, PHOTO, VCARD
from muccore.im.vcards import VCardHandler
from muccore.interfaces import RosterItem
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import render
from tests.im.userdatahelpers import UserDataTestCase, payloads
from tests.routing.helpers import xml
from tests.xmpp.test_vcards import HASH, photo

JULIET = "juliet@localhost"
ROOM = "room@conference.localhost"
GET = "<vCard xmlns='vcard-temp'/>"
OTHER = b"GIF89a"
OTHER_HASH = hashlib.sha1(OTHER).hexdigest()


def vCard(children: str, version: str = "") -> str:
    """A vCard."""
    return f"<vCard xmlns='vcard-temp'{version}>{children}</vCard>"


def normal(text: str) -> str:
    """An element as it is rendered."""
    return render(xml(text)).decode()


def update(inside: str) -> str:
    """The element of XEP-0153."""
    return f"<x xmlns='vcard-temp:x:update'>{inside}</x>"


def shown(presence: Element) -> str:
    """The hash in a presence; C{"-"} for an empty photo, C{"empty"} for no photo, C{"none"} for nothing."""
    elements = [child for child in presence.childElements() if child.uri == ns.VCARD_UPDATE]
    if not elements:
        return "none"
    [x] = elements
    return "empty" if x.child("photo") is None else x.childText("photo") or "-"


class VCardTestCase(UserDataTestCase):
    """Juliet has a vCard or not."""

    def setUp(self) -> None:
        """Log in."""
        super().setUp()
        self.handler = VCardHandler(self.store, self.states, self.presence, 2000)
        self.server.addHandler(self.handler)
        self.romeo, self.juliet = self.login("romeo", "juliet")

    def set(self, children: str, client: Client | None = None) -> str:
        """Set Juliet's vCard; return the outcome."""
        return self.outcome(client or self.juliet, "set", vCard(children))


class VCardTests(VCardTestCase):
    """Setting and getting."""

    def test_none(self) -> None:
        """
        Without a vCard, the owner gets an empty one, and others C{service-unavailable}, as for an account that does not
        exist.
        """
        for to in ("", JULIET):
            answer = self.ask(self.juliet, "get", GET, to)
            self.assertEqual((answer["type"], payloads(answer)), ("result", [GET]))
        for to in (JULIET, "nobody@localhost"):
            self.assertEqual(self.outcome(self.romeo, "get", GET, to), "service-unavailable")

    def test_set(self) -> None:
        """What the owner sets, everybody gets, attributes included, from the account itself, while it is away too."""
        card = vCard(f"<FN>Juliet &lt;ä</FN><x xmlns='urn:x' y='1'/>{photo()}", " version='3.0'")
        self.assertEqual(self.outcome(self.juliet, "set", card), "result")
        for client, to in ((self.juliet, ""), (self.juliet, JULIET), (self.romeo, JULIET)):
            answer = self.ask(client, "get", GET, to)
            self.assertEqual((answer["from"], payloads(answer)), (JULIET, [normal(card)]))
        self.juliet.dropConnection()
        self.assertEqual(self.outcome(self.romeo, "get", GET, JULIET), "result")
        self.assertEqual(payloads(self.ask(self.romeo, "get", GET)), [GET])

    def test_oneAtATime(self) -> None:
        """However many vCards a client requests at once, one is read at a time; those of another client are too."""
        for client in (self.romeo, self.juliet):
            client.sends("<presence type='unavailable'/>")
        self.store.calls.clear()
        self.store.slow = True
        for client in (self.romeo, self.juliet):
            for number in range(5):
                client.sends(f"<iq type='get' id='{number}' to='{JULIET}'>{GET}</iq>")
        self.assertEqual(self.store.calls, ["get", "get"])
        self.store.release()
        for client, outcome in ((self.romeo, "service-unavailable"), (self.juliet, "result")):
            self.assertEqual(self.received(client), [f"iq {number} {outcome}" for number in range(5)])

    def test_others(self) -> None:
        """Others may not set it, and do not learn whether the account exists."""
        self.set("<FN>Juliet</FN>")
        for to in (JULIET, "nobody@localhost"):
            self.assertEqual(self.outcome(self.romeo, "set", vCard("<FN>x</FN>"), to), "forbidden")
        self.assertIn("Juliet", payloads(self.ask(self.romeo, "get", GET, JULIET))[0])

    def test_removed(self) -> None:
        """An empty vCard removes it; the hash is empty from then on."""
        self.set(photo())
        self.assertEqual(self.set(" "), "result")
        self.assertEqual(payloads(self.ask(self.juliet, "get", GET)), [GET])
        self.assertEqual(self.successResultOf(self.store.keys(JULIET, VCARD)), [PHOTO])
        self.assertEqual(self.successResultOf(self.store.get(JULIET, VCARD, PHOTO)), b"")

    def test_tooLarge(self) -> None:
        """A vCard is bounded; the one before stays."""
        rest = len(vCard("<FN></FN>"))
        self.assertEqual(self.set(f"<FN>{'x' * (2000 - rest)}</FN>"), "result")
        self.assertEqual(self.set(f"<FN>{'y' * (2001 - rest)}</FN>"), "policy-violation")
        self.assertIn("xxx", payloads(self.ask(self.romeo, "get", GET, JULIET))[0])

    def test_photos(self) -> None:
        """The hash is that of the first photo that is an avatar; whatever else is there is kept."""
        for children, expected in (
            (photo(), HASH),
            (photo("****") + photo(type="text/html") + photo(OTHER, "image/gif") + photo(), OTHER_HASH),
            (photo("****"), ""),
            ("<PHOTO><EXTVAL>http://x</EXTVAL></PHOTO>", ""),
            ("<FN/>", ""),
        ):
            self.assertEqual(self.set(children), "result")
            self.assertEqual(self.successResultOf(self.store.get(JULIET, VCARD, PHOTO)), expected.encode())
            card = self.successResultOf(self.store.get(JULIET, VCARD, CARD))
            self.assertEqual(card.decode(), normal(vCard(children)))

    def test_durable(self) -> None:
        """The result and the hash in presence follow when it is stored; if that fails, nothing changes."""
        self.juliet.sends("<presence/>")
        self.juliet.received()
        self.store.slow = True
        for data, failing, expected in (
            (OTHER, False, ["iq 1 result", "presence"]), (b"x", True, ["iq 1 internal-server-error"]),
        ):  # fmt: skip
            self.store.failing = failing
            self.juliet.sends(f"<iq type='set' id='1'>{vCard(photo(data))}</iq>")
            self.assertEqual(self.juliet.received(), [])
            self.store.release()
            self.assertEqual(self.received(self.juliet), expected)
        self.juliet.sends("<presence/>")
        [presence] = self.juliet.received()
        self.assertEqual(shown(presence), OTHER_HASH)


class PresenceTests(VCardTestCase):
    """The hash in presence."""

    def shownBy(self, client: Client, text: str) -> list[str]:
        """What presence that a client sends shows, when it comes back to it."""
        client.sends(text)
        return [shown(stanza) for stanza in client.received() if stanza.name == "presence"]

    def test_added(self) -> None:
        """
        Without a vCard presence stays as it is. With one, the hash is added, or an empty photo without avatar, unless
        the client has a photo there.
        """
        variants = ["", update(""), update("<photo/>"), update("<photo>ab</photo>")]
        for children, expected in (
            (None, ["none", "empty", "-", "ab"]),
            (photo(), [HASH, HASH, "-", "ab"]),
            ("<FN>x</FN>", ["-", "-", "-", "ab"]),
        ):
            if children is not None:
                self.set(children)
            found = []
            for inside in variants:
                found += self.shownBy(
                    self.juliet, f"<presence><status>s</status>{inside}<priority>1</priority></presence>"
                )
                self.juliet.sends("<presence type='unavailable'/>")
                self.juliet.received()
            self.assertEqual(found, expected)

    def test_loaded(self) -> None:
        """The first presence after a log-in has it, and the rest of the presence stays."""
        self.set(photo())
        self.juliet.dropConnection()
        self.store.slow = True
        [juliet] = self.login("juliet")
        juliet.sends("<presence id='1' xml:lang='it'><show>away</show></presence>")
        self.store.release()
        [presence] = juliet.received()
        self.assertEqual(payloads(presence)[1:], [update(f"<photo>{HASH}</photo>")])
        self.assertEqual((presence["id"], presence.attributes[ns.XML, "lang"], str(presence.show)), ("1", "it", "away"))

    def test_directed(self) -> None:
        """Directed presence has it, joins of rooms included; unavailable presence and probes do not."""
        self.set(photo())
        self.romeo.sends("<presence/>")
        self.romeo.received()
        for type, expected in (("", HASH), (" type='unavailable'", "none")):
            self.juliet.sends(f"<presence{type} to='{self.romeo.address}'/>")
            [presence] = self.romeo.received()
            self.assertEqual(shown(presence), expected)
        self.juliet.sends(f"<presence to='{ROOM}/Juliet'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        own = self.juliet.received()[0]
        self.assertEqual(shown(own), HASH)

    def test_broadcastAgain(self) -> None:
        """
        After a new avatar, presence is broadcast with it, of all sessions that leave it to the server, and of no other;
        only if it is another avatar.
        """
        own, silent, gone = self.login("juliet/own", "juliet/silent", "juliet/gone")
        own.sends(f"<presence>{update('<photo>ab</photo>')}</presence>")
        gone.sends("<presence/>")
        gone.sends("<presence type='unavailable'/>")
        for inside in ("", update("")):
            self.juliet.sends(f"<presence><status>s</status>{inside}</presence>")
            for children, expected in (
                (photo(), [HASH]), (photo() + "<FN>x</FN>", []), (photo(OTHER), [OTHER_HASH]), ("<FN/>", ["-"]),
            ):  # fmt: skip
                for client in (own, silent, gone, self.juliet):
                    client.received()
                self.assertEqual(self.set(children, silent), "result")
                self.assertEqual(self.further, [])
                for client in (own, self.juliet):
                    presences = client.received()
                    self.assertEqual([shown(each) for each in presences], expected)
                    for each in presences:
                        self.assertEqual((each["from"], str(each.status)), (self.juliet.address, "s"))
                self.assertEqual(gone.received(), [])
        self.juliet.sends(f"<presence>{update('<photo>ab</photo>')}</presence>")
        self.juliet.received()
        self.set(photo(), silent)
        self.assertEqual(self.juliet.received(), [])

    def test_refused(self) -> None:
        """Presence that is refused does not count: what was broadcast before it does."""
        [silent] = self.login("juliet/silent")
        for accepted, refused, expected in (("<photo>ab</photo>", "", []), ("", "<photo>ab</photo>", [HASH])):
            self.set("<FN/>", silent)
            self.juliet.sends(f"<presence>{update(accepted)}</presence>")
            self.juliet.sends(f"<presence>{update(refused)}<priority>1000</priority></presence>")
            self.juliet.received()
            self.set(photo(), silent)
            self.assertEqual([shown(each) for each in self.juliet.received()], expected)

    def test_restored(self) -> None:
        """A new avatar is shown by sessions that were saved, if they leave that to the server."""
        [silent] = self.login("juliet/silent")
        self.set(photo(), silent)
        for inside, expected in (("", [OTHER_HASH]), (update("<photo>ab</photo>"), []), (update("<photo/>"), [])):
            self.set(photo(), silent)
            self.juliet.sends(f"<presence>{inside}</presence>")
            self.handler.disownHandlerParent(self.server.users)
            self.handler = VCardHandler(self.store, self.states, self.presence, 2000)
            self.server.addHandler(self.handler)
            self.handler.restored(self.juliet.session)
            self.juliet.received()
            self.set(photo(OTHER), silent)
            self.assertEqual([shown(each) for each in self.juliet.received()], expected)

    def test_charged(self) -> None:
        """What is broadcast because of a new avatar is charged to the client that has set it."""
        [silent] = self.login("juliet/silent")
        self.juliet.sends("<presence/>")
        items = {f"{name}@elsewhere.lit": RosterItem(subscription="from") for name in "abc"}
        change = self.server.rosters.change(JULIET, lambda _: PlannedChange(items, lambda: None))
        self.successResultOf(change)
        for client in (self.juliet, silent):
            client.charged.clear()
        self.set(photo(), silent)
        assert self.juliet.session.presence is not None
        size = len(self.juliet.session.presence.tail)
        charged = [sum(sent for sent, _ in client.charged) for client in (self.juliet, silent)]
        self.assertEqual(charged, [0, 4 * size])
        self.juliet.sends("<presence/>")
        self.assertEqual(sum(sent for sent, _ in self.juliet.charged), 4 * size)
