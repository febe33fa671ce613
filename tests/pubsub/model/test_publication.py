# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.model.publication}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.pubsub.model.configuration import Limits, NodeConfiguration
from muccore.pubsub.model.publication import Publication, readPublication
from muccore.testing.inmemory import parseStanza
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from tests.pubsub.model.helpers import errorOf

LIMITS = Limits(5, 100, 60, None)
PAYLOAD = "<a xmlns='urn:x'><b xmlns='jabber:client'/></a>"


def publish(inside: str) -> Element:
    """C{<publish/>}."""
    text = f"<iq><publish xmlns='http://jabber.org/protocol/pubsub'>{inside}</publish></iq>"
    return next(parseStanza(text).childElements())


class PublicationTests(SynchronousTestCase):
    """What is published."""

    def read(self, inside: str, persist: bool = True, deliver: bool = True, type: str = "", size: int = 60) -> str:
        """Read it; return the id and the payload, or the error."""
        configuration = NodeConfiguration(
            persistItems=persist, deliverPayloads=deliver, type=type, maxPayloadSize=None if size == 60 else size
        )
        try:
            found = readPublication(publish(inside), configuration, LIMITS)
        except StanzaError as e:
            return errorOf(e)
        self.assertEqual(found.payload is None, not found.content)
        return f"{found.id} {found.content.decode()}" if found.hasItem else "nothing"

    def test_items(self) -> None:
        """An item has an id or not, and a payload with its namespaces."""
        self.assertEqual(self.read(f"<item id='1'>{PAYLOAD}</item>"), f"1 {PAYLOAD}")
        self.assertEqual(self.read(f"<item>{PAYLOAD}</item>"), f" {PAYLOAD}")
        self.assertEqual(self.read(f"<item id='1'> {PAYLOAD}\n</item>", persist=False), f"1 {PAYLOAD}")

    def test_kinds(self) -> None:
        """The kind of the node says whether there has to be an item, and a payload (§4.3, §7.1.3.6)."""
        for persist, deliver, without, empty in (
            (True, True, "modify bad-request item-required", "modify bad-request payload-required"),
            (True, False, "modify bad-request item-required", "1 "),
            (False, True, "modify bad-request item-required", "modify bad-request payload-required"),
            (False, False, "nothing", "modify bad-request item-forbidden"),
        ):
            self.assertEqual(self.read("", persist, deliver), without)
            self.assertEqual(self.read("<item id='1'/>", persist, deliver), empty)
        self.assertEqual(self.read(f"<item id='1'>{PAYLOAD}</item>", deliver=False), f"1 {PAYLOAD}")

    def test_refused(self) -> None:
        """What is too much, too large or of another kind is refused."""
        two = f"<item>{PAYLOAD}</item>" * 2
        self.assertEqual(self.read(two), "modify bad-request")
        invalid = "modify bad-request invalid-payload"
        self.assertEqual(self.read(f"<item>{PAYLOAD}{PAYLOAD}</item>"), invalid)
        self.assertEqual(self.read(f"<item>{PAYLOAD}</item>", type="urn:y"), invalid)
        self.assertEqual(self.read(f"<item id='1'>{PAYLOAD}</item>", type="urn:x"), f"1 {PAYLOAD}")
        large = "modify not-acceptable payload-too-big"
        self.assertEqual(self.read("<item><a xmlns='urn:x'>" + "x" * 60 + "</a></item>"), large)
        self.assertEqual(self.read(f"<item>{PAYLOAD}</item>", size=len(PAYLOAD) - 1), large)
        self.assertEqual(self.read(f"<item>{PAYLOAD}</item>", size=len(PAYLOAD)), f" {PAYLOAD}")
        self.assertEqual(self.read(f"<item id='{'ä' * 257}'>{PAYLOAD}</item>"), "modify not-acceptable")

    def test_secret(self) -> None:
        """What is published does not show in a log."""
        self.assertNotIn("urn:x", repr(Publication(True, "1", None, b"<a xmlns='urn:x'/>")))
