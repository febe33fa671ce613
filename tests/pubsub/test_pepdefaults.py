# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.pepdefaults}: what is published without options."""

from __future__ import annotations

from tests.pubsub.helpers import JULIET, TUNE, PEPTestCase

OMEMO = "urn:xmpp:omemo:2"
LEGACY = "eu.siacs.conversations.axolotl"


class DefaultTests(PEPTestCase):
    """Nodes that are created by a publication without options."""

    def test_access(self) -> None:
        """Keys are for everybody (XEP-0384), bookmarks and read markers for nobody else, all else for contacts."""
        [juliet, stranger] = self.login("juliet", "romeo")
        contacts, closed = "auth not-authorized presence-subscription-required", "cancel not-allowed closed-node"
        for node, expected in (
            (TUNE, contacts), (f"{OMEMO}:devices", "2"), (f"{OMEMO}:bundles", "1 2"), (f"{LEGACY}.devicelist", "2"),
            (f"{LEGACY}.bundles:31415", "2"), ("urn:xmpp:vcard4", "2"), ("urn:xmpp:bookmarks:1", closed),
            ("storage:bookmarks", closed),
            ("urn:xmpp:mds:displayed:0", closed), ("urn:xmpp:avatar:metadata", contacts),
        ):  # fmt: skip
            for id in "12":
                self.assertEqual(self.publish(juliet, node, id), "result")
            self.assertEqual(self.items(stranger, node, JULIET), expected, node)
            several = node in (f"{OMEMO}:bundles", "urn:xmpp:bookmarks:1", "urn:xmpp:mds:displayed:0")
            self.assertEqual(self.items(juliet, node), "1 2" if several else "2")
            self.own(juliet, "set", f"<delete node='{node}'/>")

    def test_options(self) -> None:
        """Options of the publication go before."""
        [juliet, stranger] = self.login("juliet", "romeo")
        self.publish(juliet, "urn:xmpp:bookmarks:1", access_model="open")
        self.assertNotIn("closed-node", self.items(stranger, "urn:xmpp:bookmarks:1", JULIET))
