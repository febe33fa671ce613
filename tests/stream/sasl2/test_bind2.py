# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.sasl2.bind2}."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import InlineFeature, Stage
from muccore.interfaces.handlers import InvalidHandler
from muccore.stream.features import checkFeatures
from muccore.stream.sasl2.bind2 import Bind2, makeResource
from muccore.stream.states import State
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.rendering import render
from tests.stream.doubles import Feature
from tests.stream.sasl2.helpers import AGENT, AGENT_ID, BIND2, SASL2Case, authenticate, failure


class ResourceTests(SynchronousTestCase):
    """XEP-0386 §3.2.1"""

    def test_stable(self) -> None:
        """The resource depends on account, tag and client, and does not show the client's id."""
        one = makeResource("romeo@example.org", "Awesome", AGENT_ID)
        self.assertEqual(one, makeResource("romeo@example.org", "Awesome", AGENT_ID))
        self.assertTrue(one.startswith("Awesome/"))
        self.assertNotIn(AGENT_ID[:8], one)
        others = (("juliet@example.org", "Awesome", AGENT_ID), ("romeo@example.org", "Other", AGENT_ID))
        others = (*others, ("romeo@example.org", "Awesome", AGENT_ID[::-1]), ("romeo@example.org", "", AGENT_ID))
        self.assertEqual(len({one.rpartition("/")[2], *(makeResource(*each).rpartition("/")[2] for each in others)}), 5)

    def test_unknownClient(self) -> None:
        """Without an id, each resource is another one."""
        made = {makeResource("romeo@example.org", "Awesome", "") for _ in range(20)}
        self.assertEqual(len(made), 20)

    def test_tag(self) -> None:
        """The tag is prepared as a part of the resource; one that cannot be is left out."""
        self.assertTrue(makeResource("romeo@example.org", "a b/\u00e4", AGENT_ID).startswith("a b/\u00e4/"))
        for tag in ("", "\u0007", "x" * 1023):
            self.assertNotIn("/", makeResource("romeo@example.org", tag, AGENT_ID))


class Bind2Tests(SASL2Case):
    """XEP-0386 §3"""

    def bound(self, *log: Any) -> bytes:
        """The success among what was sent."""
        [success] = [each for each in log if isinstance(each, bytes) and each.startswith(b"<success")]
        return success

    def test_bound(self) -> None:
        """The success has the full JID; the features of a stream with a resource follow, then the session begins."""
        log = self.logIn(authenticate(AGENT + BIND2))
        resource = makeResource("romeo@example.org", "Awesome", AGENT_ID)
        identity = f"<authorization-identifier>romeo@example.org/{resource}</authorization-identifier>".encode()
        self.assertEqual(
            log,
            [
                "continueStream",
                b"<success xmlns='urn:xmpp:sasl:2'>" + identity + b"<bound xmlns='urn:xmpp:bind:0'></bound></success>",
                b"<stream:features><sm xmlns='urn:xmpp:sm:3'/><csi xmlns='urn:xmpp:csi:0'/></stream:features>",
                ("sessionBound", f"romeo@example.org/{resource}"),
            ],
        )
        self.assertIs(self.negotiation.state, State.BOUND)
        [session] = self.binder.sessions
        self.assertEqual(session.userAgent, (AGENT_ID, "Awesome", "Kiva's Phone"))
        self.assertEqual(self.binder.clients, [AGENT_ID])

    def test_managed(self) -> None:
        """Stream management is not offered again to a session that has it."""
        log = self.logIn(authenticate("<bind xmlns='urn:xmpp:bind:0'><enable xmlns='urn:xmpp:sm:3'/></bind>"))
        self.assertIn(b"<bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3'/></bound>", self.bound(*log))
        self.assertEqual(log[2], b"<stream:features><csi xmlns='urn:xmpp:csi:0'/></stream:features>")

    def test_noUserAgent(self) -> None:
        """Nothing about the client is needed."""
        self.logIn(authenticate("<bind xmlns='urn:xmpp:bind:0'/>"))
        [session] = self.binder.sessions
        self.assertIsNone(session.userAgent)
        self.assertEqual(self.binder.clients, [""])

    def test_refused(self) -> None:
        """
        If the account may have no other session, the log-in fails for now, and nothing has happened; that counts as a
        failed log-in.
        """
        self.begin()
        self.binder.raises = StanzaError("resource-constraint", text="an account may have 1 session")
        for n in range(3):
            log = self.send(authenticate(BIND2))
            answer = log[1]
            self.assertTrue(answer.startswith(failure("temporary-auth-failure")), answer)
            self.assertIn(b"<resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>", answer)
            self.assertIn(b"<text xml:lang='en'>an account may have 1 session</text>", answer)
            self.assertIsNone(self.negotiation.account)
            self.assertIs(self.negotiation.state, State.SECURED)
            self.assertEqual(("close", "policy-violation") in log, n == 2)
        self.assertEqual(self.host.failures, ["temporary-auth-failure"] * 3)

    def test_inline(self) -> None:
        """What is asked for is done in its order, and answered if there is an answer; unknown elements are ignored."""
        done: list[tuple[str, str]] = []

        def act(session: Any, element: Any) -> bytes:
            done.append((session.jid.full, element.name))
            return b"<done/>" if element.name == "a" else b""

        features = [InlineFeature("x", {("urn:x", "a"): act}), InlineFeature("y", {("urn:y", "b"): act})]
        bind2 = Bind2(features)
        self.assertEqual(
            render(bind2.offer()),
            b"<bind xmlns='urn:xmpp:bind:0'><inline><feature var='x'/><feature var='y'/></inline></bind>",
        )
        self.begin()
        self.patch(next(each for each in self.features._features if hasattr(each, "_bind2")), "_bind2", bind2)
        log = self.send(
            authenticate(
                "<bind xmlns='urn:xmpp:bind:0'><b xmlns='urn:y'/><c xmlns='urn:y'/><a xmlns='urn:x'/><a/></bind>"
            )
        )
        full = self.binder.sessions[0].jid.full
        self.assertEqual(done, [(full, "b"), (full, "a")])
        self.assertIn(b"<bound xmlns='urn:xmpp:bind:0'><done/></bound>", self.bound(*log))

    def test_conflict(self) -> None:
        """Two features cannot handle the same element."""
        one = InlineFeature("x", {("urn:x", "a"): lambda session, element: b""})
        self.assertRaises(InvalidHandler, Bind2, [one, one])
        features = [Feature("urn:x", Stage.BINDING, order) for order in (1, 2)]
        features[1].nonzas = {}
        checkFeatures(features)
        for feature in features:
            feature.inline = one  # type: ignore[attr-defined]
        self.assertRaises(InvalidHandler, checkFeatures, features)
        self.assertEqual(render(Bind2([]).offer()), b"<bind xmlns='urn:xmpp:bind:0'/>")
