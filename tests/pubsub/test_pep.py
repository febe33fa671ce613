# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.pep}."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from muccore.xmpp.jid import parse
from tests.pubsub.helpers import JULIET, ROMEO, TUNE, PEPTestCase


class RemovalTests(PEPTestCase):
    """Accounts that are removed."""

    def test_forget(self) -> None:
        """Nothing stays of what an account has published, nor of what it has with the nodes of others."""
        juliet, romeo = self.login("juliet", "romeo")
        for client in (juliet, romeo):
            self.publish(client, access_model="open")
        for account, client in ((JULIET, romeo), (ROMEO, juliet)):
            own = ROMEO if client is romeo else JULIET
            self.ask(client, "set", f"<subscribe node='{TUNE}' jid='{own}/pc'/>", account)
        member = f"<affiliation jid='{JULIET}' affiliation='member'/>"
        self.own(romeo, "set", f"<affiliations node='{TUNE}'>{member}</affiliations>")
        juliet.dropConnection()
        self.successResultOf(Deferred.fromCoroutine(self.pep.forget(parse(JULIET))))
        self.assertEqual(self.items(romeo, to=JULIET), "cancel item-not-found")
        self.assertEqual(self.successResultOf(self.store.nodes(JULIET, 10)), [])
        stored = self.successResultOf(self.store.load(ROMEO, TUNE))
        self.assertEqual((stored.affiliations, stored.subscriptions), ({}, {}))
        again = self.own(romeo, "get", f"<subscriptions node='{TUNE}'/>")
        self.assertEqual(next(next(again.childElements()).childElements()).children, [])
