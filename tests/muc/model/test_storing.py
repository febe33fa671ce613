# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.storing}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.storing import isArchived, isKept, isRemembered
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns

BODY, SUBJECT = "<body>a</body>", "<subject>a</subject>"
STATE = "<active xmlns='http://jabber.org/protocol/chatstates'/>"
RETRACTION = f"<retract xmlns='{ns.RETRACT}' id='a'/>"
OLDER_RETRACTION = f"<apply-to xmlns='{ns.FASTEN}' id='a'><retract xmlns='{ns.RETRACT_0}'/></apply-to>"
EDITED = f"<apply-to xmlns='{ns.FASTEN}' id='a'><edited xmlns='urn:x'/></apply-to>"
STORE, NO_STORE, NO_PERMANENT_STORE = (
    f"<{name} xmlns='{ns.HINTS}'/>" for name in ("store", "no-store", "no-permanent-store")
)


class StoringTests(SynchronousTestCase):
    """What is kept where."""

    def test_rules(self) -> None:
        """
        Bodies are kept in both, subjects and what asks for it in the archive. Hints against it are heeded, but not in
        retractions.
        """
        for inside, kept, archived in (
            (BODY, True, True),
            (SUBJECT, False, True),
            (STATE, False, False),
            (STATE + STORE, False, True),
            (BODY + NO_STORE, False, False),
            (SUBJECT + NO_STORE, False, False),
            (BODY + NO_PERMANENT_STORE, True, False),
            (STORE + NO_STORE, False, False),
            ("<body xmlns='urn:x'/>", False, False),
            (RETRACTION, True, True),
            (RETRACTION + BODY + NO_STORE, True, True),
            (OLDER_RETRACTION + NO_PERMANENT_STORE, True, True),
            (EDITED, False, False),
        ):
            message = parseStanza(f"<message>{inside}</message>")
            self.assertEqual((isKept(message), isArchived(message)), (kept, archived), inside)

    def test_remembered(self) -> None:
        """Who wrote something is remembered, whatever hints it has; but not who changed the subject or is typing."""
        for inside, remembered in (
            (BODY + NO_STORE, True), (STORE, True), (BODY, True), (SUBJECT, False), (STATE, False), (RETRACTION, False),
        ):  # fmt: skip
            self.assertIs(isRemembered(parseStanza(f"<message>{inside}</message>")), remembered, inside)
