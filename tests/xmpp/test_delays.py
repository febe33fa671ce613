# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.delays}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.xmpp.delays import withDelay
from muccore.xmpp.rendering import Rendered
from tests.routing.helpers import canonical, xml

DELAY = "<delay xmlns='urn:xmpp:delay' from='a&amp;b' stamp='2001-09-09T01:46:40Z'/>"


class DelayTests(SynchronousTestCase):
    """L{withDelay}"""

    def stamped(self, text: str) -> list[str]:
        """A stanza after it was stamped."""
        return canonical(withDelay(Rendered.of(xml(text)), "a&b", 1_000_000_000).addressed(b" to='c@d'"))

    def test_message(self) -> None:
        """A message gets the stamp as its last child."""
        forwarded = f"<forwarded xmlns='urn:xmpp:forward:0'>{DELAY.replace('2001', '2000')}</forwarded>"
        for content in ("", "<body>x</body>", "<x xmlns='urn:x'/>", "<body>urn:xmpp:delay</body>", forwarded):
            expected = canonical(f"<message to='c@d' id='1'>{content}{DELAY}</message>")
            self.assertEqual(self.stamped(f"<message id='1'>{content}</message>"), expected)

    def test_notStamped(self) -> None:
        """Other stanzas, and messages that have a stamp, stay as they are."""
        stamped = f"<message to='c@d'>{DELAY.replace('2001', '2000')}</message>"
        for text in (stamped, "<presence to='c@d'/>", "<iq to='c@d' type='result' id='1'/>"):
            self.assertEqual(self.stamped(text), canonical(text))
