# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.retractions} (XEP-0424); those of rooms have more."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.rendering import render
from muccore.xmpp.retractions import emptied, isRetraction, retracted

RETRACT = f"<retract xmlns='{ns.RETRACT}' id='1'/>"


class TombstoneTests(SynchronousTestCase):
    """What is kept."""

    def test_emptied(self) -> None:
        """Attributes and ids stay, but no stanza id of another entity, and nothing that its author has written."""
        own = f"<stanza-id xmlns='{ns.STANZA_ID}' by='a@localhost' id='1'/>"
        other = f"<stanza-id xmlns='{ns.STANZA_ID}' by='b@localhost' id='2'/>"
        message = parseStanza(
            "<message type='chat' from='b@localhost/x' to='a@localhost' id='m' secret='x'>"
            f"<body>text</body><x xmlns='urn:x'/>{own}{other}<replace xmlns='{ns.CORRECT}' id='0'/></message>"
        )
        made = emptied(message, "a@localhost")
        made.children.insert(0, retracted("r", 1e9))
        self.assertEqual(
            render(made).decode(),
            "<message type='chat' from='b@localhost/x' to='a@localhost' id='m'>"
            f"<retracted xmlns='{ns.RETRACT}' id='r' stamp='2001-09-09T01:46:40Z'/>"
            f"<stanza-id xmlns='{ns.STANZA_ID}' by='a@localhost' id='1'/></message>",
        )

    def test_retraction(self) -> None:
        """That a retraction with a text retracts another stays."""
        text = f"<retract xmlns='{ns.RETRACT}' id='1'><reason>secret</reason></retract><body>secret</body>"
        made = emptied(parseStanza(f"<message from='b@localhost/x'>{text}</message>"), "a@localhost")
        self.assertEqual(render(made).decode(), f"<message from='b@localhost/x'>{RETRACT}</message>")
        self.assertTrue(isRetraction(made))
