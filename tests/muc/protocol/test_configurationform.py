# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.configurationform}; random forms are in C{test_owner_random}."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.roomsettings import FIELDS
from muccore.muc.protocol.configurationform import settingsIn
from muccore.testing.defaults import defaultOptions
from muccore.xmpp.errors import StanzaError

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
