# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.archiverules}."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.im.archiverules import isArchived
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.element import Element

BODY = "<body>x</body>"
STORE = f"<store xmlns='{ns.HINTS}'/>"
NO_STORE = f"<no-store xmlns='{ns.HINTS}'/>"
NO_PERMANENT_STORE = f"<no-permanent-store xmlns='{ns.HINTS}'/>"
RETRACT = f"<retract xmlns='{ns.RETRACT}' id='1'/>"
INVITE = f"<x xmlns='{ns.MUC_USER}'><invite from='a@b'/></x>"
COMPOSING = f"<composing xmlns='{ns.CHAT_STATES}'/>"

ARCHIVED = (
    BODY,
    "<subject>x</subject>",
    f"{COMPOSING}{STORE}",
    f"<received xmlns='{ns.RECEIPTS}' id='1'/>",
    f"<displayed xmlns='{ns.CHAT_MARKERS}' id='1'/>",
    f"<received xmlns='{ns.CHAT_MARKERS}' id='1'/>",
    f"<acknowledged xmlns='{ns.CHAT_MARKERS}' id='1'/>",
    f"<x xmlns='{ns.CONFERENCE}' jid='room@b'/>",
    INVITE,
    INVITE.replace("invite", "decline"),
    f"<encryption xmlns='{ns.ENCRYPTION}' namespace='x'/>",
    f"<propose xmlns='{ns.JINGLE_MESSAGE}' id='1'/>",
    f"<propose xmlns='{ns.JINGLE_MESSAGE_0}' id='1'/>",
    f"{BODY}<replace xmlns='{ns.CORRECT}' id='1'/>",
    f"{BODY}<x xmlns='{ns.MUC_USER}'/>",
)
NOT_ARCHIVED = (
    "",
    "text",
    "<thread>x</thread>",
    COMPOSING,
    STORE.replace("store", "no-copy"),
    f"<request xmlns='{ns.RECEIPTS}'/>",
    f"<markable xmlns='{ns.CHAT_MARKERS}'/>",
    f"<x xmlns='{ns.MUC_USER}'/>",
    "<body xmlns='urn:x'>x</body>",
    f"<event xmlns='{ns.PUBSUB_EVENT}'/>",
)


def message(inside: str, type: str | None = "chat") -> Element:
    """A message."""
    kind = "" if type is None else f" type='{type}'"
    return parseStanza(f"<message{kind}>{inside}</message>")


class RuleTests(SynchronousTestCase):
    """What is archived (XEP-0313 §6.1.1)."""

    def test_content(self) -> None:
        """By content, whatever the conversation is; unless its sender minds (XEP-0334)."""
        for type in ("chat", "normal", None, "unknown"):
            for inside in ARCHIVED:
                self.assertTrue(isArchived(message(inside, type)), inside)
                self.assertFalse(isArchived(message(inside + NO_STORE, type)), inside)
                self.assertFalse(isArchived(message(NO_PERMANENT_STORE + inside, type)), inside)
            for inside in NOT_ARCHIVED:
                self.assertFalse(isArchived(message(inside, type)), inside)
                self.assertTrue(isArchived(message(inside + STORE, type)), inside)

    def test_types(self) -> None:
        """Errors and messages of rooms are not archived, and headlines only on request (XEP-0334 §4.5)."""
        for type in ("error", "groupchat"):
            for inside in (BODY, BODY + STORE, RETRACT):
                self.assertFalse(isArchived(message(inside, type)))
        self.assertFalse(isArchived(message(BODY, "headline")))
        self.assertTrue(isArchived(message(BODY + STORE, "headline")))

    def test_retractions(self) -> None:
        """Retractions are archived whatever their sender wants (XEP-0424 §5)."""
        older = f"<apply-to xmlns='{ns.FASTEN}' id='1'><retract xmlns='{ns.RETRACT_0}'/></apply-to>"
        for inside in (RETRACT, older):
            self.assertTrue(isArchived(message(inside)))
            self.assertTrue(isArchived(message(NO_STORE + inside)))
        self.assertFalse(isArchived(message(f"<retracted xmlns='{ns.RETRACT}'/>")))

    @given(st.lists(st.sampled_from([*ARCHIVED, *NOT_ARCHIVED, NO_STORE, STORE]), max_size=5))
    def test_order(self, parts: list[str]) -> None:
        """The order of what is in a message makes no difference; neither does what says nothing."""
        expected = NO_STORE not in parts and (STORE in "".join(parts) or not set(parts).isdisjoint(ARCHIVED))
        self.assertEqual(isArchived(message("".join(parts))), expected)
        self.assertEqual(isArchived(message("".join(reversed(parts)))), expected)
