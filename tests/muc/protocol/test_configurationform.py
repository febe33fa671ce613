# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.configurationform}; random forms are in C{test_owner_random}."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.extensions import STANDARD_FIELDS
from muccore.muc.model.roomsettings import FIELDS
from muccore.muc.protocol.configurationform import settingsIn
from muccore.testing.defaults import defaultOptions
from muccore.xmpp import ns
from muccore.xmpp.errors import StanzaError
from tests.muc.muchelpers import CONFIG, configure, join, summaries, values
from tests.muc.protocol.test_owner import OwnerTestCase

OPTIONS = defaultOptions()


class PubsubTests(SynchronousTestCase):
    """The XMPP URI of the associated node (RFC 5122)."""

    def read(self, uri: str) -> Any:
        """The setting, or the text of the error."""
        try:
            return settingsIn(FIELDS, OPTIONS.defaults, {"muc#roomconfig_pubsub": uri}, OPTIONS)["pubsubNode"]
        except StanzaError as e:
            self.assertEqual(e.condition, "not-acceptable")
            return e.text

    def test_valid(self) -> None:
        """Any address is valid, with or without query, fragment and authority; spaces around it are removed."""
        for uri in (
            "",
            "xmpp:pubsub.shakespeare.lit?;node=the-coven-node",
            "xmpp:pubsub.shakespeare.lit?pubsub;action=subscribe;node=princely_musings",
            "XMPP:romeo@montague.lit",
            "xmpp://guest@montague.lit/support@montague.lit?;node=n",
            "xmpp:nod%C3%A9@localhost/r%20s#here",
            "xmpp:jiři@čechy.example?;node=věž",
        ):
            self.assertEqual(self.read(f" {uri}\n"), uri)

    def test_invalid(self) -> None:
        """Everything else names the field."""
        for uri in (
            "pubsub.shakespeare.lit",
            "http://pubsub.shakespeare.lit/",
            "xmpp:",
            "xmpp:?;node=x",
            "xmpp:romeo@@localhost",
            "xmpp:a b@localhost",
            "xmpp:%ff@localhost",
            "xmpp:%00@localhost",
            "xmpp:romeo@localhost?;node=a b",
            "xmpp:localhost?;node=" + "x" * 1024,
        ):
            self.assertTrue(str(self.read(uri)).startswith("muc#roomconfig_pubsub: "), uri)


class LockedFieldTests(OwnerTestCase):
    """Fields that the operator has locked."""

    locked = frozenset(CONFIG + name for name in ("persistentroom", "allowpm", "presencebroadcast", "roomsecret"))

    def setUp(self) -> None:
        super().setUp()
        self.restart(self.locked)

    def restart(self, locked: frozenset[str]) -> None:
        """Start the server again with the same store and these locks."""
        configure(self.romeo, persistentroom=True)
        self.startServer(self.server.store, lockedFields=locked)
        self.romeo = self.client("romeo")
        join(self.romeo, "Romeo", password="rose")
        self.discardReceived()

    def test_form(self) -> None:
        """The form shows them as text, and the password not at all."""
        x = self.form()
        self.assertEqual(self.locked & set(values(x)), set())
        self.assertNotIn(CONFIG + "passwordprotectedroom", values(x))
        fixed = [field for field in x.childElements() if field.get("type") == "fixed"]
        self.assertEqual(
            [field.childText("value") for field in fixed],
            [
                "Keep the room when the last occupant leaves: yes (set by the operator of this service)",
                "Who may send private messages: Anyone (set by the operator of this service)",
                "Whose presence others see: Moderators, Participants, Visitors (set by the operator of this service)",
            ],
        )
        self.assertTrue(all(field.get("var") is None for field in fixed))

    def test_refused(self) -> None:
        """A form that would change one of them changes nothing, and the error names it."""
        before = self.record()
        for fields, var in (
            ({"persistentroom": False}, "persistentroom"),
            ({"allowpm": "none"}, "allowpm"),
            ({"presencebroadcast": ["moderator"]}, "presencebroadcast"),
            ({"roomsecret": "lily"}, "roomsecret"),
            ({"passwordprotectedroom": False}, "roomsecret"),
        ):
            configure(self.romeo, roomname="Tomb", **fields)
            [answer] = self.romeo.received()
            error = answer.child("error")
            assert error is not None
            self.assertIsNotNone(error.child("not-acceptable", ns.STANZA_ERRORS))
            explanation = error.child("text", ns.STANZA_ERRORS)
            assert explanation is not None
            self.assertTrue(explanation.text().startswith(f"{CONFIG}{var}: "), explanation.text())
            self.assertEqual(self.record(), before)

    def test_sameValue(self) -> None:
        """A form may repeat their values, which need not be those of new rooms, and change others."""
        configure(
            self.romeo,
            persistentroom=True,
            allowpm="anyone",
            presencebroadcast=["visitor", "participant", "moderator"],
            roomsecret="rose",
            passwordprotectedroom=True,
            roomname="Tomb",
        )
        self.assertEqual(summaries(self.romeo)[0], "result q")
        self.assertEqual((self.room().settings.name, self.room().settings.persistent), ("Tomb", True))

    def test_newRoom(self) -> None:
        """A new room has the default; its first configuration cannot change it either."""
        other = "other@conference.localhost"
        join(self.romeo, "Romeo", to=other)
        self.romeo.received()
        configure(self.romeo, to=other, persistentroom=True)
        self.assertReceived(self.romeo, "error q modify not-acceptable")
        configure(self.romeo, to=other)
        self.assertReceived(self.romeo, "result q")
        self.assertIs(self.room(other).settings.persistent, False)

    def test_anyField(self) -> None:
        """Any field may be locked, those of extensions too."""
        rows = (*FIELDS, *STANDARD_FIELDS)
        self.restart(frozenset((*(row.var for row in rows), CONFIG + "passwordprotectedroom")))
        names = {CONFIG + "roomadmins", CONFIG + "roomowners", "FORM_TYPE"}
        self.assertEqual({var for var in values(self.form()) if var}, names)
        configure(self.romeo, passwordprotectedroom=False)
        self.assertReceived(self.romeo, "error q modify not-acceptable")
