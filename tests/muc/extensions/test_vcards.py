# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.vcards} (XEP-0054, XEP-0153, XEP-0486)."""

from __future__ import annotations

import base64
import hashlib

from muccore.muc.extensions.vcards import PHOTO_LIMIT, SIZE_LIMIT
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import render
from tests.muc.muchelpers import HOST, ROOM, MUCTestCase, affiliation, join, sendAdmin, sendIQ, summaries, values

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
FIELD = "muc#roominfo_avatarhash"


def photo(data: bytes | str, type: str = "image/png") -> str:
    """A C{<PHOTO/>}."""
    encoded = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    kind = f"<TYPE>{type}</TYPE>" if type else ""
    return f"<PHOTO>{kind}<BINVAL>{encoded}</BINVAL></PHOTO>"


def hashOf(data: bytes) -> str:
    """The hash of an avatar."""
    return hashlib.sha1(data).hexdigest()


def setVCard(client: Client, children: str, to: str = ROOM) -> None:
    """Set a vCard."""
    sendIQ(client, "set", f"<vCard xmlns='vcard-temp'>{children}</vCard>", to=to)


def words(client: Client) -> list[str]:
    """What a client has received: presence of the room by the hash, other stanzas by their summary."""
    found = []
    for stanza in client.received():
        x = stanza.child("x", ns.VCARD_UPDATE)
        if x is not None:
            assert stanza.attributes["from"] == ROOM, stanza.toXml()
            found.append(f"photo:{x.childText('photo')}")
        elif stanza.name == "iq":
            found.append(f"iq {stanza.get('type')}")
        else:
            found.append(f"{stanza.name} {stanza.attributes['from'].partition('/')[2] or 'room'}")
    return found


class VCardTestCase(MUCTestCase):
    """A room of Romeo's, in which Juliet is."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.login("romeo", "juliet")
        self.createRoom(self.romeo, persistentroom=True)
        self.enterAll(self.juliet)

    def vCard(self, client: Client) -> str | None:
        """The vCard as a client gets it, rendered; C{None} if there is none."""
        sendIQ(client, "get", "<vCard xmlns='vcard-temp'/>")
        [iq] = client.received()
        if iq.get("type") == "error":
            client.received()
            self.assertIsNotNone(iq.child("error"))
            return None
        [vCard] = iq.childElements()
        return render(vCard, ns.VCARD_TEMP).decode()

    def disco(self, client: Client, to: str = ROOM) -> Element:
        """The answer of C{disco#info}."""
        sendIQ(client, "get", f"<query xmlns='{ns.DISCO_INFO}'/>", to=to)
        return self.result(client)

    def hashes(self, client: Client) -> list[str] | None:
        """The hashes in C{disco#info}."""
        form = self.disco(client).child("x", ns.DATA)
        assert form is not None
        return values(form).get(FIELD)


class VCardTests(VCardTestCase):
    """Setting and getting it."""

    def test_features(self) -> None:
        """The service and the room say that they support it (XEP-0486 §4.1)."""
        for to in (HOST, ROOM):
            features = [e.get("var") for e in self.disco(self.juliet, to).childElements() if e.name == "feature"]
            self.assertEqual(features.count("vcard-temp"), 1)

    def test_set(self) -> None:
        """The owner has the result first; then all learn that there is a new one; anybody gets it as it was set."""
        fields = f"<FN>Garden &amp; more</FN><x xmlns='urn:x' a='1'><y/></x>{photo(PNG)}"
        setVCard(self.romeo, fields)
        self.assertEqual(words(self.romeo), ["iq result", "message room", f"photo:{hashOf(PNG)}"])
        self.assertEqual(words(self.juliet), ["message room", f"photo:{hashOf(PNG)}"])
        for client in (self.juliet, self.client("stranger")):
            self.assertEqual(self.vCard(client), f"<vCard>{fields}</vCard>")
            self.assertEqual(self.hashes(client), [hashOf(PNG)])

    def test_configurationChanged(self) -> None:
        """What tells that there is a new one has status 104 (XEP-0486 §4.2)."""
        setVCard(self.romeo, photo(PNG))
        message, _ = self.juliet.received()
        self.assertEqual(message.get("type"), "groupchat")
        self.juliet.received()
        setVCard(self.romeo, "<FN>Garden</FN>" + photo(PNG))
        self.assertReceived(self.juliet, "room groupchat 104")

    def test_same(self) -> None:
        """The same again is no change."""
        setVCard(self.romeo, photo(PNG))
        self.discardReceived()
        setVCard(self.romeo, photo(PNG))
        self.assertReceived(self.romeo, "result q")
        self.assertNothingReceived()

    def test_none(self) -> None:
        """Without one, and without a room, it is not found; nothing is in disco, and nothing sent to newcomers."""
        for client, to in ((self.juliet, ROOM), (self.juliet, f"other@{HOST}")):
            sendIQ(client, "get", "<vCard xmlns='vcard-temp'/>", to=to)
            self.assertEqual(summaries(client), ["error q cancel item-not-found"])
        self.assertIsNone(self.hashes(self.juliet))
        join(self.client("paris"), "Paris")
        self.assertEqual(
            words(self.clients[-1]), ["presence Romeo", "presence Juliet", "presence Paris", "message room"]
        )
        setVCard(self.romeo, "")
        self.assertEqual(words(self.romeo)[1:], ["iq result"])

    def test_removed(self) -> None:
        """An empty vCard is one without avatar, as after a restart; occupants get an empty hash."""
        setVCard(self.romeo, photo(PNG))
        self.discardReceived()
        setVCard(self.romeo, "")
        self.assertEqual(words(self.juliet), ["message room", "photo:"])
        self.assertEqual(self.vCard(self.juliet), "<vCard/>")
        self.assertIsNone(self.hashes(self.juliet))
        self.assertEqual(self.storedRecord().states["vcard"], {"xml": ""})
        self.discardReceived()
        setVCard(self.romeo, "")
        self.assertEqual(words(self.romeo), ["iq result"])

    def test_newcomers(self) -> None:
        """Who enters, or enters again, gets the hash after everything else."""
        setVCard(self.romeo, photo(PNG))
        paris = self.client("paris")
        for _ in range(2):
            join(paris, "Paris")
            self.assertEqual(words(paris)[-2:], ["message room", f"photo:{hashOf(PNG)}"])
        self.assertEqual(words(self.juliet)[2:], ["presence Paris"])

    def test_severalFormats(self) -> None:
        """All versions of an avatar have their hash in disco (XEP-0486 §6.1); presence has the first."""
        setVCard(self.romeo, photo(SVG, "image/svg+xml") + "<PHOTO><TYPE>image/png</TYPE></PHOTO>" + photo(PNG))
        self.assertIn(f"photo:{hashOf(SVG)}", words(self.juliet))
        self.assertEqual(self.hashes(self.juliet), [hashOf(SVG), hashOf(PNG)])

    def test_whiteSpace(self) -> None:
        """White space in the data is ignored (XEP-0153 §4.5); the type may be missing."""
        encoded = base64.encodebytes(PNG * 3).decode()
        setVCard(self.romeo, photo(encoded, ""))
        self.discardReceived()
        self.assertEqual(self.hashes(self.juliet), [hashOf(PNG * 3)])

    def test_refused(self) -> None:
        """What is wrong with it is said, and nothing changes."""
        for children, error in (
            (photo("a"), "modify bad-request"),
            (photo("äöü="), "modify bad-request"),
            (photo(PNG, "text/html"), "modify not-acceptable"),
            (photo(PNG) * (PHOTO_LIMIT + 1), "modify not-acceptable"),
            (f"<DESC>{'x' * SIZE_LIMIT}</DESC>", "modify policy-violation"),
        ):
            setVCard(self.romeo, children)
            self.assertReceived(self.romeo, f"error q {error}")
            self.assertNothingReceived()
        self.assertIsNone(self.vCard(self.juliet))

    def test_ownersOnly(self) -> None:
        """Only owners may set it, in the room or outside (XEP-0486 §7)."""
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"), affiliation("nurse@localhost", "owner"))
        nurse = self.client("nurse")
        self.discardReceived()
        setVCard(self.juliet, photo(PNG))
        self.assertReceived(self.juliet, "error q auth forbidden")
        setVCard(nurse, photo(PNG))
        self.assertReceived(nurse, "result q")
        self.assertEqual(self.hashes(nurse), [hashOf(PNG)])

    def test_noRoom(self) -> None:
        """A room that does not exist has none to set; the service has none."""
        setVCard(self.romeo, photo(PNG), to=f"other@{HOST}")
        self.assertReceived(self.romeo, "error q cancel item-not-found")
        sendIQ(self.romeo, "get", "<vCard xmlns='vcard-temp'/>", to=HOST)
        self.assertReceived(self.romeo, "error q cancel service-unavailable")

    def test_restart(self) -> None:
        """It is stored."""
        setVCard(self.romeo, f"<FN>Garden</FN>{photo(PNG)}")
        self.startServer(self.server.store)
        stranger = self.client("stranger")
        self.assertEqual(self.vCard(stranger), f"<vCard><FN>Garden</FN>{photo(PNG)}</vCard>")
        self.assertEqual(self.hashes(stranger), [hashOf(PNG)])

    def test_locked(self) -> None:
        """In a locked room it is stored with the first configuration."""
        other = f"other@{HOST}"
        join(self.romeo, "Romeo", to=other)
        self.discardReceived()
        setVCard(self.romeo, photo(PNG), to=other)
        self.assertEqual(self.romeo.received()[0].get("type"), "result")
        self.assertIsNone(self.record(other))
        self.createRoom(self.romeo, to=other)
        self.assertIn("vcard", self.storedRecord(other).states)
