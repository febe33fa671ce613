# -*- test-case-name: tests.stream.bosh.test_requests -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.bosh.requests} and L{muccore.stream.bosh.terms}."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.stream.bosh.body import Body
from muccore.stream.bosh.errors import BindingError
from muccore.stream.bosh.requests import KEPT, KEPT_SIZE, REPEATS, REPORT_DELAY, Requests
from muccore.stream.bosh.terms import (
    CONTENT,
    INACTIVITY,
    MAX_PAUSE,
    POLLING,
    POLLING_INACTIVITY,
    WAIT,
    Terms,
)
from tests.stream.bosh import MESSAGE, RID, Answer, Responder, bodyLimits, creation, request
from tests.stream.bosh.test_keys import keys


def terms(**attributes: Any) -> Terms:
    """The terms for a request with these attributes."""
    return Terms.of(Body(creation(**attributes)))


class TermsTests(SynchronousTestCase):
    """XEP-0124 §7."""

    def test_limits(self) -> None:
        """What the client asks for is an upper limit."""
        for asked, wait, hold in (
            ({"wait": 60, "hold": 1}, WAIT, 1), ({"wait": 5, "hold": 9}, 5, 1), ({"wait": None, "hold": None}, WAIT, 1),
            ({"wait": 10**15}, WAIT, 1), ({"hold": 0}, WAIT, 0), ({"wait": 0}, 0, 1),
        ):  # fmt: skip
            found = terms(**asked)
            self.assertEqual((found.wait, found.hold, found.requests), (wait, hold, hold + 1))
            self.assertEqual(found.polls, not (wait and hold))
            self.assertEqual(found.inactivity, POLLING_INACTIVITY if found.polls else INACTIVITY)

    def test_version(self) -> None:
        """The lower version is that of the session; its parts are numbers."""
        for asked, version in (("1.6", "1.6"), ("1.10", "1.10"), ("1.12", "1.11"), ("2.0", "1.11"), (None, None)):
            self.assertEqual(terms(ver=asked).version, version)

    def test_content(self) -> None:
        """The client may choose the content type."""
        self.assertEqual(terms().content, CONTENT)
        for content in ("text/html", "text/html; charset=utf-8", 'text/xml;charset="UTF-8"', "application/xml"):
            self.assertEqual(terms(content=content).content, content)

    def test_refused(self) -> None:
        """What cannot be understood is a bad request."""
        for name, value in (
            ("wait", "x"), ("wait", "-1"), ("hold", "1.5"), ("ver", "1"), ("ver", "1.x"), ("ack", "0"),
            ("content", "text/html\r\nX: y"), ("content", "text"), ("content", "text/html; charset=latin-1"),
        ):  # fmt: skip
            with self.assertRaises(BindingError, msg=value) as caught:
                terms(**{name: value})
            self.assertEqual(caught.exception.binding, "bad-request")

    def test_rendered(self) -> None:
        """The response has what the client needs to know."""
        attributes = terms(ack=1).render("s", 7)
        for each in ("sid='s'", f"wait='{WAIT}'", "requests='2'", "hold='1'", "ver='1.6'", "ack='7'",
                     f"polling='{POLLING}'", f"inactivity='{INACTIVITY}'", f"maxpause='{MAX_PAUSE}'"):  # fmt: skip
            self.assertIn(" " + each, attributes)
        self.assertNotIn("ack", terms().render("s", 7))
        self.assertNotIn("ver", terms(ver=None).render("s", 7))


class Case(SynchronousTestCase):
    """One session, without a stream."""

    def begin(self, **attributes: Any) -> Answer:
        """Create a session; return the answer."""
        self.now = 1000.0
        self.rid = RID
        body, responder = Body(creation(**attributes)), Responder()
        self.requests = Requests(body, responder, Terms.of(body), " sid='s'", self.now)
        self.requests.handled(RID)
        self.requests.carry(b"<features/>", False, self.now)
        assert responder.answer is not None
        return responder.answer

    def post(
        self, payload: str = MESSAGE, rid: int | None = None, handled: bool = True, **attributes: Any
    ) -> Responder:
        """Send the next request, or another; its body is handled at once unless it is not C{handled}."""
        if rid is None:
            rid = self.rid = self.rid + 1
        responder = Responder()
        bodies = self.requests.receive(Body(request(rid, payload, sid="s", **attributes)), responder, self.now)
        for body in bodies:
            if handled:
                self.requests.handled(body.rid)
        if self.requests.violation is not None:
            raise self.requests.violation
        self.requests.release(self.now)
        return responder

    def say(self, payload: bytes = b"<x/>") -> None:
        """Send something to the client, if there is a request for it."""
        if self.requests.mayCarry(False):
            self.requests.carry(payload, False, self.now)

    def assertAnswered(self, responder: Responder, names: list[str] | None = None, **attributes: Any) -> None:
        """Check that a request was answered, with these elements and attributes."""
        self.assertIsNotNone(responder.answer)
        assert responder.answer is not None
        self.assertEqual((responder.answer.names, responder.answer.code), (names or [], 200))
        self.assertEqual(responder.answer.attributes, {name.rstrip("_"): str(v) for name, v in attributes.items()})

    def assertEnds(self, binding: str, *args: Any, **kwargs: Any) -> None:
        """Check that a request ends the session."""
        with self.assertRaises(BindingError) as caught:
            self.post(*args, **kwargs)
        self.assertEqual(caught.exception.binding, binding)


class WaitingTests(Case):
    """Which requests wait, and for how long (XEP-0124 §8)."""

    def test_creation(self) -> None:
        """The first answer has the attributes of the session; the others have not."""
        answer = self.begin()
        self.assertEqual((answer.attributes, answer.names, answer.content), ({"sid": "s"}, ["features"], CONTENT))
        held = self.post()
        self.say()
        self.assertAnswered(held, ["x"])

    def test_creationWithoutPayload(self) -> None:
        """A session is created at once, even if there is nothing to say yet."""
        body, responder = Body(creation()), Responder()
        requests = Requests(body, responder, Terms.of(body), " sid='s'", 0)
        requests.release(0)
        self.assertIsNone(responder.answer)
        requests.handled(RID)
        requests.release(0)
        self.assertAnswered(responder, sid="s")

    def test_hold(self) -> None:
        """One request waits; when another comes, the first is answered with nothing."""
        self.begin()
        first = self.post()
        self.assertIsNone(first.answer)
        second = self.post()
        self.assertAnswered(first)
        self.assertIsNone(second.answer)
        self.say()
        self.assertAnswered(second, ["x"])
        self.assertFalse(self.requests.mayCarry(False))

    def test_wait(self) -> None:
        """A request is answered with nothing when its time is over, or a little before."""
        self.begin(wait=20)
        held = self.post()
        self.assertEqual(self.requests.nextTimeout(self.now), 20)
        self.requests.release(self.now + 18.5, 1)
        self.requests.release(self.now + 19.5)
        self.assertIsNone(held.answer)
        self.requests.release(self.now + 19.5, 1)
        self.assertAnswered(held)

    def test_polling(self) -> None:
        """A client that does not want to wait does not."""
        for attributes in ({"hold": 0}, {"wait": 0}):
            self.begin(**attributes)
            self.assertAnswered(self.post())
            self.assertAnswered(self.post())

    def test_unhandled(self) -> None:
        """A request whose body is not handled is not answered with nothing, and one behind it not at all."""
        self.begin()
        first, second = self.post(handled=False), self.post(handled=False)
        self.requests.release(self.now + 100)
        self.assertEqual((first.answer, second.answer), (None, None))
        self.say()
        self.assertAnswered(first, ["x"])
        self.say()
        self.assertIsNone(second.answer)
        # Unless what was sent makes them wait.
        self.assertTrue(self.requests.mayCarry(True))
        self.requests.handled(RID + 1)
        self.say()
        self.assertAnswered(second, ["x"])

    def test_content(self) -> None:
        """All answers have the content type of the session."""
        self.assertEqual(self.begin(content="text/html").content, "text/html")
        responder = self.post()
        self.say()
        assert responder.answer is not None
        self.assertEqual(responder.answer.content, "text/html")


class OrderTests(Case):
    """XEP-0124 §14."""

    def test_outOfOrder(self) -> None:
        """Bodies are handled and requests answered in the order of their IDs."""
        self.begin()
        second = Responder()
        body = Body(request(RID + 2, MESSAGE))
        self.assertEqual(self.requests.receive(body, second, self.now), [])
        self.assertFalse(self.requests.mayCarry(True))
        first = Responder()
        bodies = self.requests.receive(Body(request(RID + 1, MESSAGE)), first, self.now)
        self.assertEqual([each.rid for each in bodies], [RID + 1, RID + 2])
        for each in bodies:
            self.requests.handled(each.rid)
        self.say()
        self.assertAnswered(first, ["x"])
        self.assertIsNone(second.answer)

    def test_window(self) -> None:
        """An ID beyond the window ends the session; one more may end it or pause."""
        for hold, most in ((1, 2), (0, 1)):
            self.begin(hold=hold)
            self.post(rid=RID + most)
            self.begin(hold=hold)
            self.assertEnds("item-not-found", rid=RID + most + 1)
            for attributes in ({"type": "terminate"}, {"pause": 5}):
                self.begin(hold=hold)
                self.post(rid=RID + most + 1, **attributes)
                self.begin(hold=hold)
                self.assertEnds("item-not-found", rid=RID + most + 2, **attributes)
        for rid in (0, "x"):
            self.begin()
            self.assertEnds("bad-request", rid=rid)

    def test_repeated(self) -> None:
        """An answer that was lost is sent again, as long as it is kept."""
        self.begin()
        lost = self.post()
        self.say()
        held = self.post()
        again = self.post(rid=RID + 1)
        assert lost.answer is not None and again.answer is not None
        self.assertEqual(again.answer.data, lost.answer.data)
        self.assertIsNone(held.answer)
        for _ in range(2):
            self.say()
            self.post()
        responder = Responder()
        self.assertEqual(self.requests.receive(Body(request(RID + 1)), responder, self.now), [])
        self.assertIsNotNone(self.requests.violation)
        assert responder.answer is not None
        self.assertEqual((responder.answer.end, responder.answer.code), ("item-not-found", 200))

    def test_repeatedWhileWaiting(self) -> None:
        """If the same request comes again, the first is told so, and the second is answered."""
        self.begin()
        first = self.post()
        second = self.post(rid=RID + 1)
        self.assertAnswered(first, type="error")
        self.say()
        self.assertAnswered(second, ["x"])
        early, again = self.post(rid=RID + 3), self.post(rid=RID + 3)
        self.assertAnswered(early, type="error")
        self.assertIsNone(again.answer)

    def test_repeatedTooOften(self) -> None:
        """A request that is sent again and again ends the session."""
        self.begin()
        self.post()
        for _ in range(REPEATS):
            self.post(rid=RID + 1)
        self.assertEnds("policy-violation", rid=RID + 1)

    def test_lost(self) -> None:
        """
        What is said is not sent to a connection that is lost: it waits for the request to come again, or the next one,
        and the first can be asked for still.
        """
        self.begin()
        first = self.post()
        first.lose()
        self.requests.lost(first, self.now)  # type: ignore[arg-type]
        self.assertFalse(self.requests.isWaited)
        self.say()
        again = self.post(rid=RID + 1)
        self.say()
        self.assertAnswered(again, ["x"])
        dead = self.post()
        self.requests.lost(dead, self.now)  # type: ignore[arg-type]
        after = self.post()
        self.say(b"<y/>")
        self.assertAnswered(after, ["y"])
        self.assertAnswered(self.post(rid=RID + 2))

    def test_kept(self) -> None:
        """What is kept is limited in number and size."""
        self.begin(ack=1)
        for _ in range(3 * KEPT):
            self.post(ack=RID)
            self.say()
        self.post(ack=RID, rid=self.rid - KEPT + 1)
        self.assertEnds("item-not-found", ack=RID, rid=self.rid - KEPT)
        self.begin(ack=1)
        for _ in range(4):
            self.post(ack=RID)
            self.say(b"<x>%b</x>" % bytes(b"x" * (KEPT_SIZE // 2)))
        self.assertLess(self.requests.keptSize, KEPT_SIZE * 2)
        self.assertGreater(self.requests.keptSize, KEPT_SIZE)

    def test_confirmed(self) -> None:
        """A payload counts as received when another request has come."""
        self.begin()
        self.assertFalse(self.requests.isConfirmed)
        self.post()
        self.assertTrue(self.requests.isConfirmed)
        self.say()
        self.assertFalse(self.requests.isConfirmed)


class KeyTests(Case):
    """XEP-0124 §15."""

    def test_keys(self) -> None:
        """Keys are checked in the order of the IDs."""
        *rest, first = keys("seed", 5)
        self.begin(newkey=first)
        self.assertEqual(self.requests.receive(Body(request(RID + 2, key=rest[2])), Responder(), self.now), [])
        self.post(key=rest[3])
        self.post(rid=RID + 1, key=rest[3])
        self.assertEnds("item-not-found", rid=RID + 1, key=rest[1])

    def test_wrong(self) -> None:
        """What comes before a wrong key is handled."""
        *rest, first = keys("seed", 5)
        self.begin(newkey=first)
        self.requests.receive(Body(request(RID + 2, key="x")), Responder(), self.now)
        bodies = self.requests.receive(Body(request(RID + 1, key=rest[3])), Responder(), self.now)
        self.assertEqual([body.rid for body in bodies], [RID + 1])
        assert self.requests.violation is not None
        self.assertEqual(self.requests.violation.binding, "item-not-found")


class AcknowledgementTests(Case):
    """XEP-0124 §9."""

    def test_ofRequests(self) -> None:
        """An answer tells of the requests received after its own, if both sides acknowledge."""
        for ack, attributes in ((None, {}), (1, {"ack": RID + 2})):
            self.begin(ack=ack)
            first = self.post(ack=ack and RID)
            second = self.post(ack=ack and RID)
            self.assertAnswered(first, **attributes)
            self.say()
            self.assertAnswered(second, ["x"])

    def test_ofAnswers(self) -> None:
        """What the client has is forgotten; it has all without the attribute."""
        self.begin(ack=1)
        self.post()
        self.say()
        self.post(ack=RID)
        self.post(rid=RID + 1, ack=RID)
        self.say()
        self.post()
        self.assertEnds("item-not-found", rid=RID + 2)

    def test_report(self) -> None:
        """A client that misses an answer is told so at once, if that is not under way only."""
        self.begin(ack=1)
        self.post()
        self.say()
        held = self.post(ack=RID)
        self.assertIsNone(held.answer)
        self.now += REPORT_DELAY + 0.5
        reported = self.post(ack=RID)
        self.assertAnswered(held, ack=RID + 3, report=RID + 1, time=round((REPORT_DELAY + 0.5) * 1000))
        self.assertIsNone(reported.answer)
        self.say()
        self.assertAnswered(reported, ["x"])


class ActivityTests(Case):
    """XEP-0124 §10 to §12."""

    def test_simultaneous(self) -> None:
        """More requests than allowed at the same time end the session, unless the last one ends or pauses it."""
        for attributes in ({}, {"pause": 10}, {"type": "terminate"}):
            self.begin()
            self.post(handled=False)
            self.post(handled=False)
            if attributes:
                self.post(handled=False, **attributes)
            else:
                self.assertEnds("policy-violation", handled=False)

    def test_frequent(self) -> None:
        """Requests without payload must not come too soon after another that waits."""
        self.begin()
        self.post()
        self.now += POLLING - 1
        self.assertEnds("policy-violation", "")
        self.begin()
        self.post()
        self.now += POLLING
        self.post("")
        for payload, attributes in ((MESSAGE, {}), ("", {"pause": 1}), ("", {"xmpp__restart": "true"})):
            self.begin()
            self.post()
            self.post(payload, **attributes)
        # The server has not answered for its own reasons.
        self.begin()
        self.post(handled=False)
        self.post("", handled=False)

    def test_polling(self) -> None:
        """Two requests without payload must not come too soon, if the first was answered with nothing."""
        self.begin(hold=0)
        self.post("")
        self.now += POLLING - 1
        self.assertEnds("policy-violation", "")
        self.begin(hold=0)
        self.post("")
        self.post()
        self.post("")
        self.now += POLLING
        self.post("")
        self.begin(wait=0)
        self.post("", handled=False)
        self.say()
        self.requests.handled(RID + 1)
        self.post("")

    def test_inactivity(self) -> None:
        """A session ends without requests, and not while one waits."""
        self.begin()
        self.assertFalse(self.requests.isExpired(self.now + INACTIVITY - 1))
        self.assertEqual(self.requests.nextTimeout(self.now + 1), INACTIVITY - 1)
        self.assertTrue(self.requests.isExpired(self.now + INACTIVITY))
        held = self.post()
        self.assertFalse(self.requests.isExpired(self.now + 1000))
        self.now += 30
        self.say()
        self.assertFalse(self.requests.isExpired(self.now + INACTIVITY - 1))
        dead = self.post()
        self.now += 50
        self.requests.lost(dead, self.now)  # type: ignore[arg-type]
        self.assertFalse(self.requests.isExpired(self.now + INACTIVITY - 1))
        self.assertTrue(self.requests.isExpired(self.now + INACTIVITY))
        self.assertAnswered(held, ["x"])

    def test_gap(self) -> None:
        """A request that waits for one that never comes does not keep the session."""
        self.begin()
        early = self.post(rid=RID + 2)
        self.assertTrue(self.requests.isExpired(self.now + INACTIVITY))
        self.requests.terminate("item-not-found", b"", self.now, 404)
        self.assertAnswered(early, type="terminate", condition="item-not-found")

    def test_pause(self) -> None:
        """A pause is answered at once, as are all before it; the client has its time then, and the usual one later."""
        for asked, granted in ((90, 90), (10, 10), (MAX_PAUSE, MAX_PAUSE), (MAX_PAUSE + 1, MAX_PAUSE)):
            self.begin()
            held = self.post()
            pause = self.post("", pause=asked)
            self.assertAnswered(held)
            self.assertAnswered(pause)
            self.assertFalse(self.requests.isExpired(self.now + granted - 1))
            self.assertTrue(self.requests.isExpired(self.now + granted))
            self.now += granted - 1
            self.say()
            after = self.post()
            self.say()
            self.assertAnswered(after, ["x"])
            self.assertFalse(self.requests.isExpired(self.now + INACTIVITY - 1))
            self.assertTrue(self.requests.isExpired(self.now + INACTIVITY))
        for invalid in ("0", "x", "-1"):
            self.begin()
            self.assertEnds("bad-request", pause=invalid)

    def test_pauseHasNoPayload(self) -> None:
        """What is said meanwhile is the answer to a request before the pause, or after."""
        self.begin()
        held = self.post(handled=False)
        pause = self.post("", pause=10, handled=False)
        self.say()
        self.assertFalse(self.requests.mayCarry(False))
        self.assertAnswered(held, ["x"])
        self.requests.handled(RID + 2)
        self.requests.release(self.now)
        self.assertAnswered(pause)


class EndTests(Case):
    """XEP-0124 §13, §17."""

    def test_waiting(self) -> None:
        """The oldest request is told of the end, with what is left to say; the others get nothing."""
        self.begin()
        first, second = self.post(handled=False), self.post(handled=False, type="terminate")
        self.requests.terminate(None, b"<x/>", self.now)
        self.assertAnswered(first, ["x"], type="terminate")
        self.assertAnswered(second)
        self.assertTrue(self.requests.ended)

    def test_later(self) -> None:
        """If no request waits, the next one is told."""
        self.begin()
        self.requests.terminate("remote-stream-error", b"<x/>", self.now)
        self.assertFalse(self.requests.ended)
        self.assertAnswered(self.post(), ["x"], type="terminate", condition="remote-stream-error")
        self.assertTrue(self.requests.ended)

    def test_legacy(self) -> None:
        """Clients without a version are told by the status code, too."""
        for ver, expected in (("1.6", 200), (None, 404)):
            for later in (False, True):
                self.begin(ver=ver)
                responder = None if later else self.post()
                self.requests.terminate("item-not-found", b"", self.now, 404)
                responder = responder or self.post()
                assert responder.answer is not None
                self.assertEqual((responder.answer.end, responder.answer.code), ("item-not-found", expected))


class Network:
    """
    A client with an unreliable network, and a server; each sends the other numbers in order.

    @ivar toServer: what the server has handled.
    @ivar toClient: what the client has got.
    """

    def __init__(self, hold: int, acks: bool) -> None:
        self.now = 0.0
        self.acks = acks
        first = Body(creation(hold=hold, ack=1 if acks else None))
        self.requests = Requests(first, self._connect(RID), Terms.of(first), " sid='s'", self.now)
        self.requests.handled(RID)
        self.waiting: list[int] = []
        self.flying: list[tuple[int, bytes]] = []
        self.toServer: list[int] = []
        self.toClient: list[int] = []
        self.said = self.sent = 0
        self.rid = self.done = RID
        self.sentAs: dict[int, bytes] = {}
        self.answers: dict[int, bytes] = {}
        self.live: dict[int, Any] = {}
        self.retries: dict[int, int] = {}
        self.loseAnswers = False
        self.requests.release(self.now)

    def _connect(self, rid: int) -> Any:
        network = self

        class Connection(Responder):
            def respond(self, body: bytes, content: str = CONTENT, code: int = 200) -> None:
                super().respond(body, content, code)
                network.answered(rid, self)

        return Connection()

    def answered(self, rid: int, connection: Any) -> None:
        """An answer leaves the server."""
        if rid == RID:
            return
        if self.live.get(rid) is connection:
            del self.live[rid]
        elif rid in self.live:
            # The client has given up this connection.
            return
        answer = connection.answer
        assert answer.end is None, answer.data
        if (self.loseAnswers and self.mayRetry(rid)) or answer.attributes.get("type") == "error":
            self.retry(rid)
        elif rid not in self.answers and rid > self.done:
            self.answers[rid] = answer.data
            while self.done + 1 in self.answers:
                self.done += 1
                found = Answer(self.answers.pop(self.done), "", 200)
                self.toClient += [int(each.get("n")) for each in found.element]

    def mayRetry(self, rid: int) -> bool:
        """Whether the client may send a request again."""
        return self.retries.get(rid, 0) < REPEATS // 2

    def retry(self, rid: int) -> None:
        """Send a request again."""
        self.retries[rid] = self.retries.get(rid, 0) + 1
        self.flying.append((rid, self.sentAs[rid]))

    def send(self) -> None:
        """Send a new request, if that is allowed. One is outstanding until all before it are answered."""
        if self.rid - self.done < self.requests.terms.requests:
            self.rid += 1
            self.sent += 1
            ack = self.done if self.acks and self.done < self.rid - 1 else None
            payload = f"<message xmlns='jabber:client' n='{self.sent}'/>"
            self.sentAs[self.rid] = request(self.rid, payload, ack=ack)
            self.flying.append((self.rid, self.sentAs[self.rid]))

    def deliver(self, index: int, isLost: bool) -> None:
        """Let a request arrive, on a connection that is lost at once or not."""
        if not self.flying:
            return
        rid, data = self.flying.pop(index % len(self.flying))
        connection = self._connect(rid)
        breaks = isLost and self.mayRetry(rid)
        if not breaks:
            self.live[rid] = connection
        bodies = self.requests.receive(Body(data), connection, self.now)
        assert self.requests.violation is None, self.requests.violation
        for body in bodies:
            self.toServer += [int(each.attributes["n"]) for each in self.events(body)]
            self.requests.handled(body.rid)
        if breaks and connection.answer is None:
            self.requests.lost(connection, self.now)
            self.retry(rid)
        self.flush()

    def events(self, body: Body) -> list[Any]:
        """The elements of a body."""
        return list(body.events(bodyLimits()))

    def breakHeld(self) -> None:
        """Lose the connection of a request that waits."""
        for rid, connection in list(self.live.items()):
            if self.mayRetry(rid):
                del self.live[rid]
                self.requests.lost(connection, self.now)
                self.retry(rid)
                return

    def say(self) -> None:
        """The server has something to say."""
        self.said += 1
        self.waiting.append(self.said)
        self.flush()

    def flush(self) -> None:
        """Answer what can be answered."""
        if self.waiting and self.requests.mayCarry(False):
            waiting, self.waiting = self.waiting, []
            self.requests.carry("".join(f"<m n='{number}'/>" for number in waiting).encode(), False, self.now)
        self.requests.release(self.now)

    def settle(self) -> None:
        """Let the network work, until both sides have everything."""
        self.loseAnswers = False
        for _ in range(20):
            while self.flying:
                self.deliver(0, False)
            if len(self.toServer) == self.sent and len(self.toClient) == self.said:
                return
            self.now += POLLING
            self.send()
            self.flush()


STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "send", "deliver", "deliver", "break", "say", "time", "lossy", "fine"]),
              st.integers(0, 9), st.booleans()),
    max_size=60,
)  # fmt: skip


class NetworkTests(SynchronousTestCase):
    """XEP-0124 §14: in order, nothing lost, nothing twice."""

    @given(STEPS, st.integers(0, 1), st.booleans())
    def test_delivery(self, steps: list[tuple[str, int, bool]], hold: int, acks: bool) -> None:
        """Requests may arrive in any order and be lost, answers too: everything arrives in order, once."""
        network = Network(hold, acks)
        for step, number, flag in steps:
            if step == "send":
                network.send()
            elif step == "deliver":
                network.deliver(number, flag)
            elif step == "break":
                network.breakHeld()
            elif step == "say":
                network.say()
            elif step == "time":
                network.now += number
                network.flush()
            else:
                network.loseAnswers = step == "lossy"
        network.settle()
        self.assertEqual(network.toServer, list(range(1, network.sent + 1)))
        self.assertEqual(network.toClient, list(range(1, network.said + 1)))
        self.assertLessEqual(network.requests.keptSize, 100_000)
