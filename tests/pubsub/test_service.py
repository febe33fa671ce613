# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.service}, L{muccore.pubsub.request} and L{muccore.pubsub.requests}."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from muccore.xmpp import ns
from tests.pubsub.helpers import JULIET, PAYLOAD, TUNE, PEPTestCase, refused


class RequestTests(PEPTestCase):
    """What is requested."""

    def test_nothing(self) -> None:
        """A request needs an element that is a request, of its type."""
        [juliet] = self.login("juliet")
        unknown = "cancel feature-not-implemented"
        for type, inside, expected in (
            ("get", "", "modify bad-request"), ("get", "text", "modify bad-request"), ("get", "<x/>", unknown),
            ("set", "<items node='a'/>", unknown), ("get", "<publish node='a'/>", unknown),
            ("get", "<items xmlns='urn:x' node='a'/>", unknown),
        ):  # fmt: skip
            self.assertEqual(refused(self.ask(juliet, type, inside)), expected, inside)
            self.assertEqual(refused(self.own(juliet, type, inside)), expected, inside)

    def test_extensions(self) -> None:
        """What is not known beside a request is ignored."""
        [juliet] = self.login("juliet")
        item = f"<x xmlns='urn:x'/><publish node='{TUNE}'><x xmlns='urn:x'/><item id='a'>{PAYLOAD}</item></publish><y/>"
        self.assertEqual(refused(self.ask(juliet, "set", item)), "result")
        self.assertEqual(self.items(juliet), "a")


class TurnTests(PEPTestCase):
    """Requests that come while others are carried out."""

    def setUp(self) -> None:
        """The store takes a time to publish."""
        super().setUp()
        self.juliet, self.phone, self.romeo = self.login("juliet", "juliet/phone", "romeo")
        self.present(self.phone, TUNE)
        self.publish(self.juliet, id="0", access_model="open", max_items="5")
        self.held: list[Callable[[], object]] = []
        for name in ("publish", "delete", "change"):
            setattr(self.store, name, self._slow(getattr(self.store, name)))
        self.phone.received()

    def _slow(self, method: Callable[..., Deferred[Any]]) -> Callable[..., Deferred[Any]]:
        def request(*arguments: Any, **named: Any) -> Deferred[Any]:
            done: Deferred[Any] = Deferred()
            self.held.append(lambda: method(*arguments, **named).chainDeferred(done))
            return done

        return request

    def send(self, inside: str, id: str, uri: str = ns.PUBSUB) -> None:
        """Let Juliet send a request."""
        self.juliet.sends(f"<iq type='set' id='{id}'><pubsub xmlns='{uri}'>{inside}</pubsub></iq>")

    def test_inOrder(self) -> None:
        """Changes of a node are made one after the other; others hear of them when they are durable, in this order."""
        for id in "abc":
            self.send(f"<publish node='{TUNE}'><item id='{id}'>{PAYLOAD}</item></publish>", id)
        self.send(f"<delete node='{TUNE}'/>", "d", ns.PUBSUB_OWNER)
        self.send(f"<publish node='other'><item>{PAYLOAD}</item></publish>", "other")
        self.assertEqual((len(self.held), self.juliet.received(), self.heard(self.phone)), (2, [], []))
        while self.held:
            self.held.pop(0)()
        self.assertEqual([stanza["id"] for stanza in self.juliet.received()], ["a", "other", "b", "c", "d"])
        events = [f"items {TUNE} item {id} tune" for id in "abc"]
        self.assertEqual(self.heard(self.phone), [*events, f"delete {TUNE}"])

    def test_tooMuch(self) -> None:
        """Of what waits, only so much is kept in memory."""
        self.send(f"<publish node='{TUNE}'><item>{PAYLOAD}</item></publish>", "a")
        payload = f"<tune xmlns='{TUNE}'>{'x' * 250_000}</tune>"
        for number in range(20):
            self.send(f"<publish node='{TUNE}'><item>{payload}</item></publish>", str(number))
        refusals = [refused(stanza) for stanza in self.juliet.received()]
        self.assertEqual(set(refusals), {"wait resource-constraint"})
        self.assertLess(len(refusals), 10)
        while self.held:
            self.held.pop(0)()
        self.assertEqual(len(self.juliet.received()), 21 - len(refusals))

    def test_fails(self) -> None:
        """After a failure the node is as it was, and the next request is carried out."""
        self.send(f"<publish node='{TUNE}'><item id='a'>{PAYLOAD}</item></publish>", "a")
        self.send(f"<publish node='{TUNE}'><item id='b'>{PAYLOAD}</item></publish>", "b")
        self.store.close()
        self.held.pop(0)()
        self.store.open()
        self.held.pop(0)()
        self.assertEqual([refused(each) for each in self.juliet.received()], ["wait internal-server-error", "result"])
        self.assertEqual(self.heard(self.phone), [f"items {TUNE} item b tune"])
        self.assertEqual(self.items(self.romeo, to=JULIET), "0 b")
