# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.privacylists}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.privacylists import blockedIn
from muccore.operations.transfer.xmlelements import parseElement


def blocked(content: str) -> tuple[list[str], list[str]]:
    """Whom lists block, and what cannot come."""
    found, problems = blockedIn(parseElement(f"<query xmlns='jabber:iq:privacy'>{content}</query>".encode()))
    return sorted(found), problems


class PrivacyListTests(SynchronousTestCase):
    """The block list that privacy lists amount to."""

    def test_example(self) -> None:
        """The example of XEP-0227 §4.8: the default list comes, the other one does not."""
        found, problems = blocked(
            "<default name='public'/><list name='public'><item type='jid' value='Tybalt@example.com' action='deny' "
            "order='1'/><item action='allow' order='2'/></list><list name='private'><item type='subscription' "
            "value='both' action='allow' order='10'/><item action='deny' order='15'/></list>"
        )
        self.assertEqual(found, ["tybalt@example.com"])
        self.assertEqual(len(problems), 1)
        self.assertTrue(problems[0].startswith("private: "))

    def test_items(self) -> None:
        """What is denied wholly is blocked, as far as it is reached; anything else is told."""
        found, problems = blocked(
            "<default name='d'/><list name='d'>"
            "<item type='jid' value='late@x' action='deny' order='9'/><item action='allow' order='8'/>"
            "<item type='jid' value='a@x' action='deny' order='1'><message/><iq/><presence-in/><presence-out/></item>"
            "<item type='jid' value='b@x' action='deny' order='2'><message/></item>"
            "<item type='group' value='g' action='deny' order='3'/><item type='jid' value='@' action='deny'/>"
            "<item type='jid' value='c@x' action='allow' order='4'/><item action='deny' order='5'/></list>"
        )
        self.assertEqual(found, ["a@x"])
        self.assertEqual(len(problems), 5)

    def test_noDefault(self) -> None:
        """Without a default list, nobody is blocked."""
        self.assertEqual(blocked(""), ([], []))
        found, problems = blocked("<list name='x'><item type='jid' value='a@x' action='deny'/></list>")
        self.assertEqual((found, len(problems)), ([], 1))
