# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.model.privileges}: the tables of XEP-0045 §5. Who may do what to whom is in
L{tests.muc.model.test_privilegechanges}.
"""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.privileges import (
    Affiliation,
    Role,
    checkRoleChange,
    initialRole,
    parseAffiliation,
    parseRole,
    roleAfterAffiliationChange,
)
from muccore.xmpp.errors import StanzaError

OUTCAST, NONE, MEMBER, ADMIN, OWNER = Affiliation
NOBODY, VISITOR, PARTICIPANT, MODERATOR = Role
RANKS = (NONE, MEMBER, ADMIN, OWNER)


class WordTests(SynchronousTestCase):
    """The names of affiliations and roles."""

    def test_unknown(self) -> None:
        """Any other word is C{bad-request}; the error repeats only its beginning."""
        for parse in (parseAffiliation, parseRole):
            for word in ("", "OWNER", "Moderator", "king" * 100):
                error = self.assertRaises(StanzaError, parse, word)
                self.assertEqual(error.condition, "bad-request")
                self.assertLess(len(str(error.text)), 100)


class RoleTests(SynchronousTestCase):
    """The role that comes with an affiliation."""

    def test_initial(self) -> None:
        """The initial roles of XEP-0045 §5.1.2, moderated and unmoderated."""
        self.assertEqual(
            [(initialRole(a, True), initialRole(a, False)) for a in RANKS],
            [(VISITOR, PARTICIPANT), (PARTICIPANT, PARTICIPANT), (MODERATOR, MODERATOR), (MODERATOR, MODERATOR)],
        )

    def test_rise(self) -> None:
        """A promotion brings the initial role of the new affiliation, unless the current one is higher (§5.1.3)."""
        self.assertIs(roleAfterAffiliationChange(VISITOR, NONE, MEMBER, True), PARTICIPANT)
        self.assertIs(roleAfterAffiliationChange(VISITOR, NONE, ADMIN, True), MODERATOR)
        self.assertIs(roleAfterAffiliationChange(MODERATOR, NONE, MEMBER, True), MODERATOR)
        self.assertIs(roleAfterAffiliationChange(PARTICIPANT, ADMIN, OWNER, False), MODERATOR)

    def test_fall(self) -> None:
        """After a demotion the role is no higher than the initial one."""
        self.assertIs(roleAfterAffiliationChange(MODERATOR, OWNER, ADMIN, False), MODERATOR)
        self.assertIs(roleAfterAffiliationChange(MODERATOR, OWNER, MEMBER, True), PARTICIPANT)
        self.assertIs(roleAfterAffiliationChange(MODERATOR, ADMIN, NONE, True), VISITOR)
        self.assertIs(roleAfterAffiliationChange(PARTICIPANT, MEMBER, NONE, True), VISITOR)
        self.assertIs(roleAfterAffiliationChange(PARTICIPANT, MEMBER, NONE, False), PARTICIPANT)

    def test_neverMoreByFalling(self) -> None:
        """No demotion brings a higher role: a member without voice does not get it back by that."""
        self.assertIs(roleAfterAffiliationChange(VISITOR, MEMBER, NONE, False), VISITOR)
        for role, old, new, moderated in product(list(Role)[1:], list(Affiliation), list(Affiliation), (True, False)):
            if NONE <= new < old:
                self.assertLessEqual(roleAfterAffiliationChange(role, old, new, moderated), role)


class RoleChangeTests(SynchronousTestCase):
    """What L{checkRoleChange} refuses whatever its caller has checked before."""

    def test_refused(self) -> None:
        """Roles are changed by moderators only (§8); voice is never revoked from admins and owners (§8.4)."""
        for actorRole, target, old, new, condition in (
            (PARTICIPANT, NONE, VISITOR, PARTICIPANT, "forbidden"),
            (MODERATOR, ADMIN, PARTICIPANT, VISITOR, "not-allowed"),
        ):
            error = self.assertRaises(StanzaError, checkRoleChange, actorRole, OWNER, old, target, new, False)
            self.assertEqual(error.condition, condition)
