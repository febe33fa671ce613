# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.refusal}."""

from twisted.trial.unittest import SynchronousTestCase

from muccore.xmpp.errors import StanzaError
from muccore.xmpp.refusal import errorReplyOrNone, mayReplyWithError
from tests.routing.helpers import canonical, error, xml


class RefusalTests(SynchronousTestCase):
    """Which stanzas are answered with an error."""

    def test_answered(self) -> None:
        """Requests, messages and presence are answered."""
        for stanza in ("<iq type='get'", "<iq type='set'", "<message", "<message type='chat'", "<presence"):
            self.assertTrue(mayReplyWithError(xml(f"{stanza} from='a@b'/>")), stanza)

    def test_notAnswered(self) -> None:
        """Errors (RFC 6120 §8.3.1), results (RFC 6120 §8.2.3) and unavailable presence are not."""
        for stanza in ("message type='error'", "presence type='error'", "iq type='error'", "iq type='result'"):
            self.assertFalse(mayReplyWithError(xml(f"<{stanza} from='a@b'/>")), stanza)
        self.assertFalse(mayReplyWithError(xml("<presence type='unavailable' from='a@b'/>")))

    def test_noSender(self) -> None:
        """Without a sender there is nobody to tell."""
        self.assertFalse(mayReplyWithError(xml("<message/>")))

    def test_refusal(self) -> None:
        """The error goes back to the sender, with what he sent and who refuses."""
        answer = errorReplyOrNone(
            xml("<message from='a@b' to='c@d'><body>hi</body></message>"), StanzaError("gone"), "e"
        )
        assert answer is not None
        expected = error("<message from='c@d' to='a@b' type='error'><body>hi</body></message>", "gone", "cancel", "e")
        self.assertEqual(canonical(answer), expected)

    def test_dropped(self) -> None:
        """What is not answered gives nothing to send."""
        self.assertIsNone(errorReplyOrNone(xml("<message type='error' from='a@b'/>"), StanzaError("gone")))
