# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.stanzaids} (XEP-0359)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.element import copyOf
from muccore.xmpp.rendering import Rendered, render
from muccore.xmpp.stanzaids import stanzaIdBy, withoutStanzaId, withStanzaId

ACCOUNT = "juliet@localhost"


def stanzaId(by: str, id: str = "1") -> str:
    """A stanza id."""
    return f"<stanza-id xmlns='{ns.STANZA_ID}' by='{by}' id='{id}'/>"


OWN = (stanzaId(ACCOUNT), stanzaId("Juliet@LOCALHOST", "2"))
OTHERS = (
    stanzaId("romeo@localhost"), stanzaId(f"{ACCOUNT}/balcony"), stanzaId("@"), stanzaId(""),
    f"<stanza-id xmlns='{ns.STANZA_ID}' id='1'/>", f"<origin-id xmlns='{ns.STANZA_ID}' by='{ACCOUNT}' id='1'/>",
    f"<stanza-id xmlns='urn:x' by='{ACCOUNT}' id='1'/>", "<body>x</body>", "text",
)  # fmt: skip


class StanzaIdTests(SynchronousTestCase):
    """Finding, adding and removing them."""

    @given(st.lists(st.sampled_from([*OWN, *OTHERS]), max_size=6))
    def test_stripped(self, parts: list[str]) -> None:
        """Only those that claim to be the account's are removed, from a copy; then an own one is the only one."""
        message = parseStanza(f"<message type='chat' id='m'>{''.join(parts)}</message>")
        before = render(message)
        stripped = withoutStanzaId(message, ACCOUNT)
        left = "".join(part for part in parts if part not in OWN)
        self.assertEqual(render(stripped), render(parseStanza(f"<message type='chat' id='m'>{left}</message>")))
        self.assertEqual(stripped is message, set(parts).isdisjoint(OWN))
        self.assertIsNone(stanzaIdBy(stripped, ACCOUNT))
        stamped = withStanzaId(stripped, Rendered.of(stripped), ACCOUNT, "new")
        self.assertEqual(Rendered.of(stamped).addressed(b""), render(copyOf(stamped)))
        self.assertEqual(render(Rendered.of(stamped).element), render(copyOf(stamped)))
        self.assertEqual(stanzaIdBy(stamped, ACCOUNT), "new")
        self.assertEqual(render(withoutStanzaId(stamped, ACCOUNT)), render(stripped))
        self.assertEqual(render(message), before)
