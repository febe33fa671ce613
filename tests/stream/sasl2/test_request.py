# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.sasl2.request}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import UserAgent
from muccore.stream.parser.parser import StanzaParser
from muccore.stream.sasl.exchange import SASLFailure
from muccore.stream.sasl2.request import TEXT_LIMIT, Request, parseRequest
from muccore.xmpp import ns
from tests.stream.doubles import HEADER
from tests.stream.sasl2.helpers import AGENT, AGENT_ID


class RequestTests(SynchronousTestCase):
    """XEP-0388 §2.2 and §2.3"""

    def parse(self, content: str) -> Request:
        """Parse an C{<authenticate/>}."""
        [_, element] = StanzaParser().feed(
            HEADER + f"<authenticate xmlns='{ns.SASL2}' mechanism='PLAIN'>{content}</authenticate>".encode()
        )
        return parseRequest(element)

    def test_initialResponse(self) -> None:
        """No initial response is not the same as an empty one; whitespace does not matter."""
        for content, expected in (
            ("", None),
            ("<initial-response/>", b""),
            ("<initial-response></initial-response>", b""),
            ("<initial-response>AGE=</initial-response>", b"\0a"),
            ("<initial-response>\n  AG\n  E=\n</initial-response>", b"\0a"),
        ):
            self.assertEqual(self.parse(content).initial, expected)

    def test_userAgent(self) -> None:
        """The parts of a user agent are optional; long texts are cut."""
        agent = f"<user-agent id='{AGENT_ID.upper()}'/>"
        for content, expected in (
            ("", None),
            (AGENT, UserAgent(AGENT_ID, "Awesome", "Kiva's Phone")),
            ("<user-agent/>", UserAgent()),
            (agent, UserAgent(AGENT_ID)),
            (f"<user-agent><device> {'x' * 99} </device></user-agent>", UserAgent("", "", "x" * TEXT_LIMIT)),
        ):
            self.assertEqual(self.parse(content).userAgent, expected)
        self.assertEqual((self.parse(agent).client, self.parse("").client), (AGENT_ID, ""))

    def test_inline(self) -> None:
        """Other namespaces are kept, of each kind the first."""
        request = self.parse("<x xmlns='urn:x' n='1'/><x xmlns='urn:x' n='2'/><x xmlns='urn:y'/>")
        self.assertEqual(list(request.inline), [("urn:x", "x"), ("urn:y", "x")])
        self.assertEqual(request.inline["urn:x", "x"]["n"], "1")

    def test_refused(self) -> None:
        """What the schema does not allow is refused."""
        for condition, content in (
            ("incorrect-encoding", "<initial-response>=</initial-response>"),
            ("incorrect-encoding", "<initial-response>\u00e4</initial-response>"),
            ("malformed-request", "<initial-response><x/></initial-response>"),
            ("malformed-request", "<initial-response/><initial-response/>"),
            ("malformed-request", "<user-agent/><user-agent/>"),
            ("malformed-request", "<response/>"),
            ("malformed-request", "<user-agent id='me'/>"),
            ("malformed-request", f"<user-agent id='{AGENT_ID}0'/>"),
            ("malformed-request", f"<user-agent id='{AGENT_ID[:-1]}\u0660'/>"),
        ):
            with self.assertRaises(SASLFailure) as caught:
                self.parse(content)
            self.assertEqual(caught.exception.condition, condition, content)
