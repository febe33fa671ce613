# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.privileges}; see also L{tests.muc.model.test_privilegechanges} (XEP-0045 §5)."""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.privileges import (
    Affiliation,
    Role,
    checkModeration,
    checkRoleChange,
    initialRole,
    roleAfterAffiliationChange,
)
from muccore.xmpp.errors import StanzaError

OUTCAST, NONE, MEMBER, ADMIN, OWNER = Affiliation
NOBODY, VISITOR, PARTICIPANT, MODERATOR = Role
RANKS = (NONE, MEMBER, ADMIN, OWNER)


class NameTests(SynchronousTestCase):
    """The names of affiliations and roles."""

    def test_unknownNameIsBadRequest(self) -> None:
        """Any other name is C{bad-request}; the error repeats only its beginning."""
        for parse, name in product((Affiliation.parse, Role.parse), ("", "OWNER", "Moderator", "king" * 100)):
            error = self.assertRaises(StanzaError, parse, name)
            self.assertEqual(error.condition, "bad-request")
            self.assertLess(len(str(error.text)), 100)


class RoleTests(SynchronousTestCase):
    """The role that comes with an affiliation, and changes of roles."""

    def test_initialRole(self) -> None:
        """The initial roles in a moderated and in an unmoderated room (§5.1.2)."""
        self.assertEqual(
            [(initialRole(a, True), initialRole(a, False)) for a in RANKS],
            [(VISITOR, PARTICIPANT), (PARTICIPANT, PARTICIPANT), (MODERATOR, MODERATOR), (MODERATOR, MODERATOR)],
        )

    def test_roleAfterAffiliationChange(self) -> None:
        """
        A promotion brings the initial role of the new affiliation, unless the current one is higher (§5.1.3); after a
        demotion the role is no higher than the initial one.
        """
        for role, old, new, moderated, expected in (
            (VISITOR, NONE, MEMBER, True, PARTICIPANT),
            (VISITOR, NONE, ADMIN, True, MODERATOR),
            (MODERATOR, NONE, MEMBER, True, MODERATOR),
            (PARTICIPANT, ADMIN, OWNER, False, MODERATOR),
            (MODERATOR, OWNER, ADMIN, False, MODERATOR),
            (MODERATOR, OWNER, MEMBER, True, PARTICIPANT),
            (MODERATOR, ADMIN, NONE, True, VISITOR),
            (PARTICIPANT, MEMBER, NONE, True, VISITOR),
            (PARTICIPANT, MEMBER, NONE, False, PARTICIPANT),
            (VISITOR, MEMBER, NONE, False, VISITOR),
        ):
            found = roleAfterAffiliationChange(role, old, new, moderated)
            self.assertIs(found, expected, (role, old, new, moderated))

    def test_demotionNeverRaisesRole(self) -> None:
        """No demotion brings a higher role: a member without voice does not get it back."""
        for role, old, new, moderated in product(list(Role)[1:], list(Affiliation), list(Affiliation), (True, False)):
            if NONE <= new < old:
                self.assertLessEqual(roleAfterAffiliationChange(role, old, new, moderated), role)

    def test_checkRoleChange(self) -> None:
        """Only moderators change roles (§8); voice is never revoked from admins and owners (§8.4)."""
        for actorRole, target, old, new, condition in (
            (PARTICIPANT, NONE, VISITOR, PARTICIPANT, "forbidden"),
            (MODERATOR, ADMIN, PARTICIPANT, VISITOR, "not-allowed"),
        ):
            error = self.assertRaises(StanzaError, checkRoleChange, actorRole, OWNER, old, target, new, False)
            self.assertEqual(error.condition, condition)

    def test_checkModeration(self) -> None:
        """
        Moderators, and admins outside the room, retract what others wrote; what admins and owners wrote only those of
        their rank and above.
        """
        for role, actor, author, condition in (
            (MODERATOR, NONE, NONE, None), (MODERATOR, NONE, MEMBER, None), (MODERATOR, NONE, ADMIN, "not-allowed"),
            (MODERATOR, MEMBER, OWNER, "not-allowed"), (MODERATOR, ADMIN, ADMIN, None), (None, ADMIN, MEMBER, None),
            (None, ADMIN, OWNER, "not-allowed"), (None, OWNER, OWNER, None), (None, MEMBER, NONE, "forbidden"),
            (PARTICIPANT, MEMBER, NONE, "forbidden"), (VISITOR, NONE, OWNER, "forbidden"),
            (MODERATOR, NONE, OUTCAST, None),
        ):  # fmt: skip
            if condition is None:
                checkModeration(role, actor, author)
            else:
                error = self.assertRaises(StanzaError, checkModeration, role, actor, author)
                self.assertEqual(error.condition, condition, (role, actor, author))
