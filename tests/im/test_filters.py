# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of the filters of user domains: L{muccore.interfaces.filters}, L{muccore.routing.filters}."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muccore.interfaces import ISession, ISessionObserver, IUserDomain
from muccore.interfaces.filters import ARCHIVE, BLOCKING, CONSUMED, COPIES, PRESENCE
from muccore.interfaces.handlers import InvalidHandler
from muccore.routing.handler import Handler, StanzaError
from tests.routing.helpers import Server, canonical, conditions

ROMEO = "romeo@localhost/orchard"
JULIET = "juliet@localhost/balcony"


def makeHandler(**tables: Any) -> Handler:
    """Make a handler with tables."""
    handler = Handler()
    vars(handler).update(tables)
    return handler


class FilterTestCase(SynchronousTestCase):
    """Romeo and Juliet on one server."""

    def setUp(self) -> None:
        """Connect both."""
        self.server = Server("elsewhere.localhost")
        self.romeo = self.server.connect(ROMEO, "<presence/>")
        self.juliet = self.server.connect(JULIET, "<presence/>")

    def add(self, **tables: Any) -> None:
        """Add a handler with tables to the user domain."""
        self.server.add("localhost", makeHandler(**tables))

    def sendToJuliet(self, name: str = "message") -> tuple[list[str], list[str]]:
        """Let Romeo send a stanza to Juliet; return what Juliet gets, and the errors that come back."""
        back = self.romeo.ask(f"<{name} to='{JULIET}' id='1'/>")
        return self.juliet.take(), conditions(back)


class OutboundTests(FilterTestCase):
    """Outbound filters."""

    def test_interface(self) -> None:
        """A user domain provides its interface."""
        self.assertTrue(verifyObject(IUserDomain, self.server.users))

    def test_unfiltered(self) -> None:
        """Without filters for a kind of stanza its tuple is empty, which is all that a session looks at."""
        outbound = self.server.users.outbound
        self.assertEqual((outbound["message"], outbound["iq"], len(outbound["presence"])), ((), (), 1))

    def test_arguments(self) -> None:
        """A filter gets the session, the checked stanza and its address, and may let it pass."""
        seen: list[Any] = []

        def record(handler: Any, session: ISession, element: Any, to: Any) -> Any:
            seen.append((session, element["from"], to.full))
            return element

        self.add(outbound={("message", ARCHIVE): record})
        expected = canonical(f"<message to='{JULIET}' from='{ROMEO}' id='1'/>")
        self.assertEqual(self.sendToJuliet(), (expected, []))
        self.romeo.ask("<message/>")
        self.assertEqual(
            seen, [(self.romeo.session, ROMEO, JULIET), (self.romeo.session, ROMEO, "romeo@localhost")]
        )

    def test_order(self) -> None:
        """Lower stages come first, then the order of handlers; each gets what the one before it returned."""

        def adding(mark: str) -> Any:
            def function(handler: Any, session: ISession, element: Any, to: Any) -> Any:
                changed = element.copy()
                changed.attributes["id"] += mark
                return changed

            return function

        self.add(outbound={("message", COPIES): adding("d"), ("message", 150): adding("b")})
        self.add(outbound={("message", ARCHIVE): adding("c"), ("message", COPIES): adding("e")})
        self.add(outbound={("message", BLOCKING): adding("a"), ("iq", BLOCKING): adding("x")})
        [message], _ = self.sendToJuliet()
        self.assertIn('id="1abcde"', message)

    def test_refused(self) -> None:
        """
        A filter refuses by an error, consumes with L{CONSUMED}; anything else is its failure, which is logged and
        refuses too. No later filter gets the stanza.
        """
        later: list[Any] = []

        def refuse(handler: Any, session: ISession, element: Any, to: Any) -> Any:
            raise StanzaError("not-acceptable")

        for result, expected, failures in (
            (refuse, ["not-acceptable"], 0),
            (lambda *_: CONSUMED, [], 0),
            (lambda *_: None, ["internal-server-error"], 1),
            (lambda *_: 1 / 0, ["internal-server-error"], 1),
        ):
            for name in ("message", "presence", "iq"):
                self.setUp()
                self.add(outbound={(name, BLOCKING): result, (name, ARCHIVE): lambda *args: later.append(args)})
                back = self.romeo.ask(f"<{name} to='{JULIET}' id='1' type='get'><q xmlns='urn:q'/></{name}>")
                self.assertEqual((conditions(back), self.juliet.take(), later), (expected, [], []))
                self.assertEqual(len(self.flushLoggedErrors()), failures)

    def test_presenceWithoutAddress(self) -> None:
        """Presence without an address passes filters as well; what none consumes is dropped."""
        seen: list[Any] = []

        def record(handler: Any, session: ISession, element: Any, to: Any) -> Any:
            seen.append(to)
            return element

        self.add(outbound={("presence", BLOCKING): record, ("presence", PRESENCE + 1): record})
        self.romeo.ask("<presence/>")
        self.romeo.ask("<presence type='probe'/>")
        self.assertEqual(seen, [None, None, None])

    def test_removed(self) -> None:
        """The filters of a handler go with it."""
        handler = makeHandler(outbound={("message", BLOCKING): lambda *_: CONSUMED})
        self.server.add("localhost", handler)
        handler.disownHandlerParent(self.server.users)
        self.assertEqual(len(self.sendToJuliet()[0]), 1)


class InvalidTests(FilterTestCase):
    """Tables that are refused, so that the server does not start."""

    def test_keys(self) -> None:
        """A table has keys of kind and stage, and functions."""
        for table, problem in (
            ({"message": lambda *_: None}, "'message' in 'outbound', which is no key of it"),
            ({("stanza", ARCHIVE): lambda *_: None}, "in 'outbound', which is no key of it"),
            ({("message", "archive"): lambda *_: None}, "in 'outbound', which is no key of it"),
            ({("message", ARCHIVE): "archive"}, "'archive' in 'outbound'; a table holds functions"),
        ):
            raised = self.assertRaises(InvalidHandler, self.add, outbound=table)
            self.assertIn(problem, str(raised))
        self.assertEqual(len(self.sendToJuliet()[0]), 1)

    def test_otherDomains(self) -> None:
        """Only user domains have filters."""
        handler = makeHandler(outbound={("message", ARCHIVE): lambda *_: None})
        raised = self.assertRaises(InvalidHandler, self.server.add, "elsewhere.localhost", handler)
        self.assertIn("has filters, which only a domain of accounts applies", str(raised))


class ObserverTests(FilterTestCase):
    """L{ISessionObserver}"""

    def test_sessionEnded(self) -> None:
        """Every observer is told once, when the session is no longer registered; a failure is logged."""
        ended: list[Any] = []

        @implementer(ISessionObserver)
        class Observer(Handler):
            def sessionEnded(self, session: ISession) -> None:
                """Record it, and fail."""
                ended.append((session, self.parent.sessions.byFullJID(session.jid)))  # type: ignore[attr-defined]
                raise ValueError

        self.server.add("localhost", Observer(), Observer())
        self.romeo.vanish()
        self.romeo.vanish()
        self.assertEqual(ended, [(self.romeo.session, None)] * 2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
