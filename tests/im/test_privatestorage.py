# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.privatestorage} (XEP-0049)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from muccore.im import privatestorage
from muccore.im.privatestorage import KIND, PrivateStorageHandler
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp.element import Element
from muccore.xmpp.errors import conditionOf
from muccore.xmpp.rendering import render
from tests.configuration import Logged
from tests.routing.helpers import canonical, xml

BOOKMARKS = (
    "<storage xmlns='storage:bookmarks'><conference jid='a@b' name='&lt;ä&#10;'><nick>x</nick></conference></storage>"
)


def errorsIn(answer: Element) -> list[str]:
    """The condition of an error, or nothing for a result."""
    condition = conditionOf(answer)
    return [] if condition is None else [condition]


class PrivateStorageTests(SynchronousTestCase):
    """Romeo's private data."""

    def setUp(self) -> None:
        """Log Romeo in twice, and Juliet."""
        self.server = InMemoryServer()
        self.store = MemoryUserData()
        self.store.open()
        self.handler = PrivateStorageHandler(self.store, 1000, 2000)
        self.server.addHandler(self.handler)
        self.romeo, self.phone = (self.server.client(f"romeo@localhost/{each}") for each in ("orchard", "phone"))
        self.juliet = self.server.client("juliet@localhost/balcony")

    def ask(self, type: str, payload: str, client: Client | None = None, to: str = "") -> Element:
        """Send a request; return the answer."""
        client = client or self.romeo
        to = f" to='{to}'" if to else ""
        client.sends(f"<iq type='{type}' id='1'{to}><query xmlns='jabber:iq:private'>{payload}</query></iq>")
        [answer] = client.received()
        self.assertEqual(answer["id"], "1")
        return answer

    def set(self, payload: str) -> list[str]:
        """Set elements; return the conditions of errors."""
        return errorsIn(self.ask("set", payload))

    def get(self, requested: str, client: Client | None = None, to: str = "") -> list[str]:
        """Get an element."""
        answer = self.ask("get", requested, client, to)
        self.assertEqual(answer["type"], "result")
        [query] = answer.childElements()
        return [each for child in query.childElements() for each in canonical(render(child))]

    def test_unset(self) -> None:
        """What was never set is empty."""
        self.assertEqual(
            self.get("<storage xmlns='storage:bookmarks'/>"), canonical("<storage xmlns='storage:bookmarks'/>")
        )

    def test_kept(self) -> None:
        """An element is kept for all clients of the account, by name and namespace, until it is set again."""
        self.assertEqual(self.set(BOOKMARKS), [])
        for to in ("", "romeo@localhost"):
            self.assertEqual(self.get("<storage xmlns='storage:bookmarks'/>", self.phone, to), canonical(BOOKMARKS))
        for other in ("<other xmlns='storage:bookmarks'/>", "<storage xmlns='storage:rosternotes'/>"):
            self.assertEqual(self.get(other), canonical(other))
        self.set("<storage xmlns='storage:bookmarks' version='2'/>")
        self.assertEqual(
            self.get("<storage xmlns='storage:bookmarks'/>"),
            canonical("<storage xmlns='storage:bookmarks' version='2'/>"),
        )

    def test_several(self) -> None:
        """Several elements are set at once."""
        self.assertEqual(self.set("<a xmlns='urn:x'>1</a><b xmlns='urn:x'>2</b> <a xmlns='urn:y'>3</a>"), [])
        for element in ("<a xmlns='urn:x'>1</a>", "<b xmlns='urn:x'>2</b>", "<a xmlns='urn:y'>3</a>"):
            self.assertEqual(self.get(element), canonical(element))

    def test_removed(self) -> None:
        """An element that is set to nothing takes no space."""
        self.set(BOOKMARKS)
        self.set("<storage xmlns='storage:bookmarks'/>")
        self.assertEqual(self.successResultOf(self.store.keys("romeo@localhost", KIND)), [])

    def test_others(self) -> None:
        """Others get C{forbidden} for accounts that exist and for others, and change nothing."""
        self.set(BOOKMARKS)
        for to in ("romeo@localhost", "nobody@localhost"):
            for type in ("get", "set"):
                answer = self.ask(type, "<storage xmlns='storage:bookmarks'/>", self.juliet, to)
                self.assertEqual(errorsIn(answer), ["forbidden"])
        self.assertEqual(self.get("<storage xmlns='storage:bookmarks'/>"), canonical(BOOKMARKS))

    def test_notAcceptable(self) -> None:
        """
        A request needs an element, of a namespace of its own; one for elements must be for one, and to set one twice
        is refused as a whole.
        """
        for payload in ("", "text", "<storage/>", "<storage xmlns=''/>"):
            for type in ("get", "set"):
                self.assertEqual(errorsIn(self.ask(type, payload)), ["not-acceptable"], payload)
        answer = self.ask("get", "<a xmlns='urn:x'/><a xmlns='urn:y'/>")
        self.assertEqual(errorsIn(answer), ["not-acceptable"])
        self.assertEqual(
            self.set("<b xmlns='urn:x'>1</b><a xmlns='urn:x'>1</a><a xmlns='urn:x'>2</a>"), ["not-acceptable"]
        )
        self.assertEqual(self.get("<b xmlns='urn:x'/>"), canonical("<b xmlns='urn:x'/>"))

    def test_elementTooLarge(self) -> None:
        """One element is bounded; with one that is too large nothing is set."""
        size = 1000 - len("<a xmlns='urn:x'></a>")
        self.assertEqual(self.set(f"<a xmlns='urn:x'>{'x' * size}</a>"), [])
        self.assertEqual(
            self.set(f"<b xmlns='urn:x'>1</b><a xmlns='urn:x'>{'y' * (size + 1)}</a>"), ["policy-violation"]
        )
        self.assertEqual(self.get("<a xmlns='urn:x'/>"), canonical(f"<a xmlns='urn:x'>{'x' * size}</a>"))
        self.assertEqual(self.get("<b xmlns='urn:x'/>"), canonical("<b xmlns='urn:x'/>"))

    def test_accountTooLarge(self) -> None:
        """All elements of an account are bounded; names count; removing helps, and other accounts do not matter."""
        for number in range(2):
            self.assertEqual(self.set(f"<a{number} xmlns='urn:x'>{'x' * 900}</a{number}>"), [])
        large = f"<a xmlns='urn:x'>{'x' * 200}</a>"
        self.assertEqual(self.set(large), ["resource-constraint"])
        self.assertEqual(self.set(f"<a xmlns='{'n' * 200}'/>"), [])
        self.assertEqual(self.set(f"<{'a' * 200} xmlns='urn:x' b=''/>"), ["resource-constraint"])
        self.assertEqual(errorsIn(self.ask("set", large, self.juliet)), [])
        self.assertEqual(self.set("<a0 xmlns='urn:x'/>"), [])
        self.assertEqual(self.set(large), [])

    def test_durable(self) -> None:
        """The result follows when it is stored; an error if that fails, which is logged."""
        waiting: list[Deferred[None]] = []

        def change(*arguments: object) -> Deferred[None]:
            waiting.append(Deferred())
            return waiting[-1]

        self.patch(self.store, "change", change)
        request = f"<iq type='set' id='1'><query xmlns='jabber:iq:private'>{BOOKMARKS}</query></iq>"
        for _ in range(2):
            self.romeo.sends(request)
        self.assertEqual(self.romeo.received(), [])
        waiting[0].callback(None)
        self.assertEqual([answer["type"] for answer in self.romeo.received()], ["result"])
        logged = Logged(self)
        self.store.close()
        waiting[1].errback(self.failureResultOf(self.store.get("", "", "")).value)
        [answer] = self.romeo.received()
        self.assertEqual(errorsIn(answer), ["internal-server-error"])
        assert answer.error is not None
        self.assertEqual(answer.error["type"], "wait")
        self.assertEqual(len(logged.lines(LogLevel.error)), 1)

    def test_oneAtATime(self) -> None:
        """However many elements a client requests at once, one is read at a time, in order; too many are refused."""
        reading: list[Deferred[bytes | None]] = []

        def get(*arguments: object) -> Deferred[bytes | None]:
            reading.append(Deferred())
            return reading[-1]

        self.patch(self.store, "get", get)
        self.patch(privatestorage, "WAITING_LIMIT", 10_500)
        self.handler.disownHandlerParent(self.server.users)
        self.server.addHandler(PrivateStorageHandler(self.store, 1000, 2000))
        for number in range(4):
            payload = "<query xmlns='jabber:iq:private'><a xmlns='urn:x'/></query>"
            self.romeo.sends(f"<iq type='get' id='{number}'>{payload}</iq>")
        self.assertEqual(len(reading), 1)
        self.assertEqual(
            [(each["id"], conditionOf(each)) for each in self.romeo.received()], [("3", "resource-constraint")]
        )
        for number in range(3):
            reading[number].callback(None)
            self.assertEqual([each["id"] for each in self.romeo.received()], [str(number)])
        self.assertEqual(len(reading), 3)

    @settings(max_examples=50)
    @given(st.text(st.characters(exclude_categories=("Cs",)).filter(lambda c: c.isprintable() or c in "\t\n\r")))
    def test_texts(self, text: str) -> None:
        """Whatever text and attributes hold comes back."""
        self.setUp()
        element = Element(("urn:x", "a"), None, {"b": text, ("urn:y", "c"): text})
        element.add("d", "urn:z", text)
        rendered = render(element).decode()
        self.assertEqual(self.set(rendered), [] if len(rendered.encode()) <= 1000 else ["policy-violation"])
        if len(rendered.encode()) <= 1000:
            self.assertEqual(self.get("<a xmlns='urn:x'/>"), canonical(render(xml(rendered))))
