# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of the filters of user domains: L{muccore.interfaces.filters}, L{muccore.routing.filters}."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muccore.interfaces import ISession, ISessionObserver, IUserDomain
from muccore.interfaces.filters import ARCHIVE, BLOCKING, CONSUMED, COPIES, PRESENCE, STORE
from muccore.interfaces.handlers import InvalidHandler
from muccore.routing.handler import Handler, StanzaError
from muccore.xmpp import jid
from tests.routing.helpers import Server, canonical, conditions, xml

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


def recording(seen: list[Any], result: Any = None) -> Any:
    """
    Make an inbound or offline filter that records its arguments and passes the stanza, unless a result is given. It
    leaves alone what comes back to Romeo.
    """

    def function(handler: Any, element: Any, to: Any, *arguments: Any) -> Any:
        if to.full == ROMEO:
            return element
        seen.append((element.attributes.get("type"), to, *arguments))
        return element if result is None else result

    return function


class InboundTests(FilterTestCase):
    """Inbound filters."""

    def test_recipients(self) -> None:
        """A filter gets each stanza to an account once, with the sessions that will get it, if there are any."""
        seen: list[Any] = []
        self.add(inbound={(kind, ARCHIVE): recording(seen) for kind in ("message", "presence", "iq")})
        garden = self.server.connect("juliet@localhost/garden", "<presence/>")
        both = (self.juliet.session, garden.session)
        for name, type, to, recipients in (
            ("message", "chat", "juliet@localhost", both),
            ("message", "groupchat", JULIET, both[:1]),
            ("message", "chat", "juliet@localhost/x", both),
            ("message", "error", "juliet@localhost", ()),
            ("message", "chat", "nobody@localhost", ()),
            ("presence", "unavailable", "juliet@localhost", both),
            ("presence", "probe", JULIET, ()),
            ("iq", "result", JULIET, both[:1]),
            ("iq", "get", "nobody@localhost", ()),
        ):
            self.romeo.send(f"<{name} type='{type}' to='{to}' id='1'><q xmlns='urn:q'/></{name}>")
            [(seenType, address, sessions)] = seen
            self.assertEqual((seenType, address.full, sessions), (type, to, recipients))
            seen.clear()

    def test_elsewhere(self) -> None:
        """Stanzas to the domain itself, to other domains, and own presence are not inbound."""
        seen: list[Any] = []
        self.add(inbound={(kind, ARCHIVE): recording(seen) for kind in ("message", "presence")})
        for to in ("localhost", "localhost/x", "elsewhere.localhost", "a@example.org"):
            self.romeo.send(f"<message to='{to}'/>")
        self.romeo.send("<presence/>")
        self.assertEqual(seen, [])

    def test_order(self) -> None:
        """A refusal, a consumption or a failure ends the way of a stanza; stages are in order."""

        def refuse() -> Any:
            raise StanzaError("not-acceptable")

        for result, expected, failures in (
            (refuse, ["not-acceptable"], 0),
            (lambda: CONSUMED, [], 0),
            (lambda: None, ["internal-server-error"], 1),
        ):
            self.setUp()
            later: list[Any] = []

            def block(handler: Any, element: Any, to: Any, recipients: Any, result: Any = result) -> Any:
                return element if to.full == ROMEO else result()

            self.add(
                inbound={("message", COPIES): recording(later), ("message", BLOCKING): block},
                offline={("message", STORE): recording(later)},
            )
            self.assertEqual(self.sendToJuliet(), ([], expected))
            self.assertEqual(conditions(self.romeo.ask("<message to='nobody@localhost'/>")), expected)
            self.assertEqual((later, len(self.flushLoggedErrors())), ([], 2 * failures))

    def test_changed(self) -> None:
        """What a filter returns is delivered in place of the stanza."""

        def mark(handler: Any, element: Any, to: Any, recipients: Any) -> Any:
            changed = element.copy()
            changed.add("stanza-id", "urn:xmpp:sid:0", id="7")
            return changed

        self.add(inbound={("message", ARCHIVE): mark})
        [message], _ = self.sendToJuliet()
        self.assertIn('<stanza-id xmlns="urn:xmpp:sid:0" id="7">', message)


class OfflineTests(FilterTestCase):
    """Offline filters."""

    def setUp(self) -> None:
        """Prepare to record what is stored."""
        super().setUp()
        self.stored: list[Any] = []

    def send(self, type: str, to: str) -> list[str]:
        """Let Romeo send a message; return the errors that come back."""
        return conditions(self.romeo.ask(f"<message type='{type}' to='{to}'><body>hi</body></message>"))

    def test_table(self) -> None:
        """Messages of type normal and chat that no session takes are offered (RFC 6121 §8.5.2.2, §8.5.3.2)."""
        self.add(offline={("message", STORE): recording(self.stored, CONSUMED)})
        nobody = "nobody@localhost"
        for type, to, stored, back in (
            ("chat", nobody, True, []),
            ("normal", nobody, True, []),
            ("shout", nobody, True, []),
            ("chat", f"{nobody}/x", True, []),
            ("normal", f"{nobody}/x", False, ["service-unavailable"]),
            ("groupchat", nobody, False, ["service-unavailable"]),
            ("headline", nobody, False, []),
            ("error", nobody, False, []),
            ("chat", JULIET, False, []),
        ):
            self.assertEqual((self.send(type, to), [kind for kind, _ in self.stored]), (back, [type] * stored), type)
            self.stored.clear()

    def test_negativePriority(self) -> None:
        """Resources with negative priority count as offline (§8.5.2.1.1)."""
        self.add(offline={("message", STORE): recording(self.stored, CONSUMED)})
        self.juliet.ask("<presence><priority>-1</priority></presence>")
        self.assertEqual(self.send("chat", "juliet@localhost"), [])
        self.assertEqual((len(self.stored), self.juliet.take()), (1, []))

    def test_passed(self) -> None:
        """What every filter passes on is refused."""
        self.add(offline={("message", STORE): recording(self.stored), ("message", ARCHIVE): recording(self.stored)})
        self.assertEqual(self.send("chat", "nobody@localhost"), ["service-unavailable"])
        self.assertEqual(len(self.stored), 2)

    def test_waiting(self) -> None:
        """A filter may answer later: a failure is sent back then, and no other filter is asked."""
        waiting: Deferred[Any] = Deferred()
        self.add(offline={("message", BLOCKING): lambda *_: waiting, ("message", STORE): recording(self.stored)})
        self.assertEqual(self.send("chat", "nobody@localhost"), [])
        waiting.errback(StanzaError("resource-constraint"))
        self.assertEqual(conditions(self.romeo.take()), ["resource-constraint"])
        self.assertEqual(self.stored, [])

    def test_refused(self) -> None:
        """A filter refuses with an error of its own, such as for a full store."""

        def refuse(handler: Any, *arguments: Any) -> Any:
            raise StanzaError("resource-constraint")

        self.add(offline={("message", STORE): refuse})
        self.assertEqual(self.send("chat", "nobody@localhost"), ["resource-constraint"])

    def test_redeliver(self) -> None:
        """A stanza that a session could not pass on goes to other sessions, or offline; it is filtered only once."""
        seen: list[Any] = []
        self.add(inbound={("message", ARCHIVE): recording(seen)}, offline={("message", STORE): recording(self.stored)})
        for to, got, back in (("juliet@localhost", 1, []), ("nobody@localhost", 0, ["service-unavailable"])):
            message = xml(f"<message type='chat' from='{ROMEO}' to='{to}'/>")
            self.server.users.redeliver(message, jid.parse(to))
            self.assertEqual((len(self.juliet.take()), conditions(self.romeo.take())), (got, back))
        self.assertEqual((seen, len(self.stored)), ([], 1))

    def test_redelivered(self) -> None:
        """Filters for what is redelivered get messages, which they may change, consume or refuse; nothing else."""
        seen: list[Any] = []
        results: dict[str, Any] = {"consumed": CONSUMED, "refused": StanzaError("not-acceptable"), "failing": None}

        def onRedelivered(handler: Any, element: Any, to: Any) -> Any:
            seen.append(element.get("id"))
            result = results.get(element.attributes["id"], element)
            if isinstance(result, StanzaError):
                raise result
            return result

        self.add(redelivered={("message", ARCHIVE): onRedelivered, ("message", COPIES): recording([])})
        for id, got, back in (
            ("passed", 1, []), ("consumed", 0, []), ("refused", 0, ["not-acceptable"]),
            ("failing", 0, ["internal-server-error"]),
        ):  # fmt: skip
            message = xml(f"<message type='chat' id='{id}' from='{ROMEO}' to='juliet@localhost'/>")
            self.server.users.redeliver(message, jid.parse("juliet@localhost"))
            self.assertEqual((len(self.juliet.take()), conditions(self.romeo.take())), (got, back), id)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        request = xml(f"<iq type='get' from='{ROMEO}' to='{JULIET}' id='1'/>")
        self.server.users.redeliver(request, jid.parse(JULIET))
        self.sendToJuliet()
        self.assertEqual(seen, ["passed", "consumed", "refused", "failing"])


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
            for name in ("outbound", "inbound", "redelivered", "offline"):
                raised = self.assertRaises(InvalidHandler, self.add, **{name: table})
                self.assertIn(problem.replace("outbound", name), str(raised))
        raised = self.assertRaises(InvalidHandler, self.add, offline={("iq", STORE): lambda *_: None})
        self.assertIn("in 'offline', which is no key of it", str(raised))
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
