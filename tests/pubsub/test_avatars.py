# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.avatars} (XEP-0084, XEP-0153, XEP-0398)."""

from __future__ import annotations

import base64
import hashlib

from muccore.im.presence import PresenceHandler
from muccore.im.userstate import UserStates
from muccore.im.vcards import VCardHandler
from muccore.pubsub.avatars import Avatars
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.rendering import render
from tests.pubsub.helpers import JULIET, ROMEO, PEPTestCase

DATA, METADATA = ns.AVATAR_DATA, ns.AVATAR_METADATA
PNG = b"\x89PNG one"
OTHER = b"\x89PNG two"


def hashOf(data: bytes) -> str:
    """The id of an avatar."""
    return hashlib.sha1(data).hexdigest()


class AvatarTests(PEPTestCase):
    """Juliet's avatar, which Romeo sees."""

    def setUp(self) -> None:
        """Two clients of hers are there."""
        super().setUp()
        documents = MemoryUserData()
        documents.open()
        presence = next(each for each in self.server.users if isinstance(each, PresenceHandler))
        states = UserStates(documents)
        vCards = VCardHandler(documents, states, presence, 2000)
        avatars = Avatars(self.pep, vCards.setPhoto)
        self.pep.joinAvatars(avatars)
        vCards.photoObservers.append(avatars.vCardChanged)
        for handler in (states, vCards):
            self.server.addHandler(handler)
        self.juliet, self.phone, self.romeo = self.login("juliet", "juliet/phone", "romeo")
        self.befriend(JULIET, ROMEO)
        self.befriend(ROMEO, JULIET, "to")
        self.present(self.romeo, METADATA)
        self.present(self.phone, METADATA)
        self.romeo.received()

    def publishAvatar(self, data: bytes = PNG, access: str = "open", id: str = "", info: str = "") -> None:
        """Publish an avatar in nodes."""
        id = id or hashOf(data)
        encoded = base64.b64encode(data).decode()
        payload = f"<data xmlns='{DATA}'>{encoded[:4]}\n{encoded[4:]}</data>"
        self.publish(self.juliet, DATA, id, payload, access_model=access)
        infos = info or f"<info bytes='{len(data)}' id='{id}' type='image/png'/>"
        self.publish(self.juliet, METADATA, id, f"<metadata xmlns='{METADATA}'>{infos}</metadata>")

    def setVCard(self, data: bytes | None, more: str = "<FN>J</FN>") -> None:
        """Set a vCard."""
        photo = ""
        if data is not None:
            photo = f"<PHOTO><TYPE>image/gif</TYPE><BINVAL>{base64.b64encode(data).decode()}</BINVAL></PHOTO>"
        vCard = f"<vCard xmlns='vcard-temp'>{more}{photo}</vCard>"
        self.assertEqual(self.request(self.juliet, "set", vCard, "")["type"], "result")

    def vCard(self) -> str:
        """Juliet's vCard as Romeo gets it, or the condition of the error."""
        answer = self.request(self.romeo, "get", "<vCard xmlns='vcard-temp'/>", JULIET)
        return render(next(answer.childElements()), None).decode() if answer["type"] == "result" else "none"

    def shown(self, client: Client) -> list[str]:
        """The hashes in presence that a client gets."""
        found = []
        for stanza in client.received():
            update = stanza.child("x", ns.VCARD_UPDATE)
            if stanza.name == "presence" and update is not None:
                found.append(update.childText("photo") or "-")
        return found

    def test_toVCard(self) -> None:
        """A published avatar is in the vCard, whose rest stays, and in presence."""
        self.setVCard(None)
        self.romeo.received()
        self.publishAvatar()
        encoded = base64.b64encode(PNG).decode()
        photo = f"<PHOTO><TYPE>image/png</TYPE><BINVAL>{encoded}</BINVAL></PHOTO>"
        self.assertEqual(self.shown(self.romeo), [hashOf(PNG)])
        self.assertEqual(self.vCard(), f"<vCard xmlns='vcard-temp'><FN>J</FN>{photo}</vCard>")
        self.publishAvatar(OTHER)
        self.assertEqual(self.shown(self.romeo), [hashOf(OTHER)])
        self.publish(self.juliet, METADATA, "x", f"<metadata xmlns='{METADATA}'/>")
        self.assertEqual(self.shown(self.romeo), ["-"])
        self.assertEqual(self.vCard(), "<vCard xmlns='vcard-temp'><FN>J</FN></vCard>")

    def test_withoutVCard(self) -> None:
        """A vCard that was not there is made, and goes with the avatar."""
        self.publishAvatar()
        self.assertIn("PHOTO", self.vCard())
        self.publish(self.juliet, METADATA, "x", f"<metadata xmlns='{METADATA}'/>")
        self.assertEqual(self.vCard(), "none")

    def test_notToVCard(self) -> None:
        """Avatars that are not for all, are not what they say, or too large, do not get there."""
        self.publishAvatar(access="presence")
        self.own(self.juliet, "set", f"<delete node='{DATA}'/>")
        self.publishAvatar(id=hashOf(OTHER))
        self.publishAvatar(info=f"<info bytes='1' id='{hashOf(PNG)}' type='image/png' url='http://x/'/>")
        self.publishAvatar(info=f"<info bytes='1' id='{hashOf(OTHER)}' type='image/png'/>")
        self.publish(self.juliet, DATA, hashOf(PNG), f"<data xmlns='{DATA}'>?</data>")
        self.publish(self.juliet, METADATA, "x", f"<metadata xmlns='{METADATA}'><info id='{hashOf(PNG)}'/></metadata>")
        self.assertEqual(self.vCard(), "none")
        self.setVCard(None, f"<FN>{'x' * 1900}</FN>")
        self.publishAvatar()
        self.assertNotIn("PHOTO", self.vCard())

    def test_severalInfos(self) -> None:
        """Of several forms of an avatar the one in the node is taken (§3.1)."""
        url = f"<info bytes='1' id='{hashOf(OTHER)}' type='image/gif' url='http://x/'/>"
        self.publishAvatar(info=f"{url}<info bytes='8' id='{hashOf(PNG)}' type='image/png'/>")
        self.assertIn(base64.b64encode(PNG).decode(), self.vCard())

    def test_fromVCard(self) -> None:
        """The avatar of a vCard is published, for everybody, and followers hear of it; then that there is none."""
        self.setVCard(PNG)
        id, encoded = hashOf(PNG), base64.b64encode(PNG).decode()
        [message] = [stanza for stanza in self.romeo.received() if stanza.name == "message"]
        info = f"<info bytes='{len(PNG)}' id='{id}' type='image/gif'/>"
        self.assertIn(f"<item id='{id}'><metadata xmlns='{METADATA}'>{info}</metadata>", render(message).decode())
        [nurse] = self.login("nurse")
        answer = self.ask(nurse, "get", f"<items node='{DATA}'/>", JULIET)
        self.assertIn(f"<item id='{id}'><data xmlns='{DATA}'>{encoded}</data></item>", render(answer).decode())
        self.setVCard(PNG, "<FN>Other</FN>")
        self.assertEqual(self.heard(self.romeo), [])
        self.setVCard(None)
        self.assertEqual(len(self.heard(self.romeo)), 1)
        answer = self.ask(nurse, "get", f"<items node='{METADATA}'/>", JULIET)
        self.assertIn(f"<metadata xmlns='{METADATA}'/>", render(answer).decode())
        self.setVCard(None)
        self.assertEqual(self.heard(self.romeo), [])

    def test_once(self) -> None:
        """What was converted is not converted back."""
        self.publishAvatar()
        self.assertEqual(len([each for each in self.romeo.received() if each.name == "message"]), 1)
        self.setVCard(PNG)
        self.assertEqual(self.heard(self.romeo), [])
        self.setVCard(OTHER)
        self.assertEqual(len(self.heard(self.romeo)), 1)
        self.assertEqual(self.items(self.juliet, METADATA), hashOf(OTHER))

    def test_feature(self) -> None:
        """The account tells of it."""
        text = render(self.request(self.juliet, "get", f"<query xmlns='{ns.DISCO_INFO}'/>", "")).decode()
        self.assertIn("<feature var='urn:xmpp:pep-vcard-conversion:0'/>", text)
