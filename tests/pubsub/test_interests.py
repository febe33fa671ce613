# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.interests} (XEP-0115, XEP-0060 §9.2)."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muccore.pubsub import interests
from muccore.pubsub.interests import NOTHING, Interests, nodesIn, queryIn
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.pubsub.helpers import TUNE, capabilities


def queryOf(text: str) -> Element:
    """The element C{query} in some XML."""
    return queryIn(parseStanza(f"<iq>{text}</iq>"))


class InterestsTests(SynchronousTestCase):
    """Asking clients."""

    def setUp(self) -> None:
        """Nobody was asked yet."""
        self.asked: list[tuple[str, str, Deferred[Element]]] = []
        self.found: list[tuple[str, frozenset[str]]] = []
        self.interests = Interests(self.ask)
        self.caps, text = capabilities(f"{TUNE}+notify", "a+notify", TUNE, "+notified")
        self.query = queryOf(text)

    def ask(self, full: str, node: str) -> Deferred[Element]:
        """Ask a client."""
        answer: Deferred[Element] = Deferred()
        self.asked.append((full, node, answer))
        return answer

    def lookUp(self, full: str, caps: str | None = None) -> None:
        """Look up what a client wants to hear of."""
        presence = parseStanza(f"<presence>{self.caps if caps is None else caps}</presence>")
        self.interests.lookUp(full, presence, lambda nodes: self.found.append((full, nodes)))

    def answer(self, query: Element | Exception) -> str:
        """Let the client that was asked first answer; return its name."""
        full, _, answer = self.asked.pop(0)
        if isinstance(query, Exception):
            answer.errback(query)
        else:
            answer.callback(query)
        return full

    def test_shared(self) -> None:
        """One client is believed for all that have the same hash, and they share one set."""
        self.lookUp("a")
        self.assertEqual(self.asked[0][:2], ("a", f"urn:example:client#{parseStanza(self.caps)['ver']}"))
        self.lookUp("b")
        self.answer(self.query)
        self.lookUp("c")
        expected = frozenset([TUNE, "a"])
        self.assertEqual(self.found, [("b", expected), ("a", expected), ("c", expected)])
        self.assertEqual(len({id(nodes) for _, nodes in self.found}), 1)
        self.answer(self.query)
        self.assertEqual((len(self.found), self.asked), (3, []))

    def test_fewAsked(self) -> None:
        """Of many clients with a hash, some are asked at once; the next one when one of them does not tell."""
        for name in "abcde":
            self.lookUp(name)
        self.assertEqual([full for full, _, _ in self.asked], list("abc"))
        self.answer(ValueError("test"))
        self.assertEqual([full for full, _, _ in self.asked], list("bcd"))
        self.assertEqual(self.found, [("a", NOTHING)])
        self.answer(self.query)
        self.assertEqual([full for full, _ in self.found], ["a", "c", "d", "e", "b"])

    def test_lies(self) -> None:
        """What does not have the hash counts for who has said it, and is believed of nobody else (§5.4)."""
        self.lookUp("liar")
        self.lookUp("a")
        self.answer(queryOf(capabilities("lie+notify")[1]))
        self.assertEqual(self.found, [("liar", frozenset(["lie"]))])
        self.answer(self.query)
        self.assertEqual(self.found[1], ("a", frozenset([TUNE, "a"])))

    def test_illFormed(self) -> None:
        """Information in which something is twice is not kept, though it has the hash."""
        caps, text = capabilities("a+notify", "a+notify")
        for name in ("a", "b"):
            self.lookUp(name, caps)
            self.answer(queryOf(text))
        self.assertEqual(self.found, [("a", frozenset(["a"])), ("b", frozenset(["a"]))])

    def test_unverified(self) -> None:
        """Hashes of unknown kinds, and those without a kind, are asked of each client."""
        for caps, node in (
            (f"<c xmlns='{ns.CAPS}' hash='md2' node='urn:x' ver='1'/>", "urn:x#1"),
            (f"<c xmlns='{ns.CAPS}' node='urn:x' ver='1'/>", ""),
        ):
            for name in ("a", "b"):
                self.lookUp(name, caps)
                self.assertEqual(self.asked[0][:2], (name, node))
                self.answer(self.query)
        self.lookUp("c", caps)
        self.answer(ValueError("test"))
        self.assertEqual([full for full, _ in self.found], ["a", "b", "a", "b", "c"])
        self.assertEqual(self.found[-1][1], NOTHING)

    def test_sha256(self) -> None:
        """Other hash functions than SHA-1 are known."""
        caps = self.caps.replace("sha-1", "sha-256")
        self.lookUp("a", caps)
        self.answer(self.query)
        self.lookUp("b", caps)
        self.answer(self.query)
        self.assertEqual(len(self.found), 2)

    def test_none(self) -> None:
        """Without capabilities nothing is wanted, and nobody asked."""
        self.lookUp("a", "")
        self.assertEqual((self.found, self.asked), ([("a", NOTHING)], []))

    def test_bounded(self) -> None:
        """So much is remembered, and so many wait; of a client so many nodes."""
        self.patch(interests, "CACHED", 1)
        for feature in ("a", "b"):
            caps, text = capabilities(f"{feature}+notify")
            self.lookUp(feature, caps)
            self.answer(queryOf(text))
        self.lookUp("again", capabilities("a+notify")[0])
        self.assertEqual(len(self.asked), 1)
        self.patch(interests, "WAITING_LIMIT", 1)
        self.lookUp("late", capabilities("c+notify")[0])
        self.assertEqual(self.found[-1], ("late", NOTHING))
        many = queryOf(capabilities(*(f"{number}+notify" for number in range(200)), "x" * 600 + "+notify")[1])
        self.assertEqual(len(nodesIn(many)), interests.NODES_LIMIT)

    def test_empty(self) -> None:
        """An answer without information has no nodes."""
        self.assertEqual(nodesIn(queryOf("<x xmlns='urn:x'/>")), NOTHING)
