# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.privileges}: the tables of XEP-0045 §5, and who may do what to whom (§8, §9, §10).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from muccore.errors import StanzaError
from muccore.muc.privileges import (
    Affiliation,
    Role,
    checkAffiliationChange,
    checkRoleChange,
    initialRole,
    parseAffiliation,
    parseRole,
    roleAfter,
)

OUTCAST, NONE, MEMBER, ADMIN, OWNER = Affiliation
NOBODY, VISITOR, PARTICIPANT, MODERATOR = Role
RANKS = (NONE, MEMBER, ADMIN, OWNER)


def outcome(check: Callable[[], None]) -> str:
    """
    C{"yes"}, or the condition of the refusal.
    """
    try:
        check()
    except StanzaError as e:
        return e.condition
    return "yes"


class WordTests(SynchronousTestCase):
    """
    How they are written.
    """

    def test_words(self) -> None:
        """
        Every affiliation and role is written in lower case, and is understood so.
        """
        self.assertEqual([a.word for a in Affiliation], ["outcast", "none", "member", "admin", "owner"])
        self.assertEqual([r.word for r in Role], ["none", "visitor", "participant", "moderator"])
        for affiliation in Affiliation:
            self.assertIs(parseAffiliation(affiliation.word), affiliation)
        for role in Role:
            self.assertIs(parseRole(role.word), role)

    def test_unknown(self) -> None:
        """
        Any other word is C{bad-request}; the answer repeats only the beginning of it.
        """
        for parse in (parseAffiliation, parseRole):
            for word in ("", "OWNER", "Moderator", "king" * 100):
                error = self.assertRaises(StanzaError, parse, word)
                self.assertEqual(error.condition, "bad-request")
                self.assertLess(len(str(error.text)), 100)


class RoleTests(SynchronousTestCase):
    """
    Which role comes with which affiliation.
    """

    def test_initial(self) -> None:
        """
        The table of XEP-0045 §5.1.2, moderated and unmoderated.
        """
        self.assertEqual(
            [(initialRole(a, True), initialRole(a, False)) for a in RANKS],
            [
                (VISITOR, PARTICIPANT),
                (PARTICIPANT, PARTICIPANT),
                (MODERATOR, MODERATOR),
                (MODERATOR, MODERATOR),
            ],
        )

    def test_rise(self) -> None:
        """
        Who rises gets what comes with his affiliation, and keeps what he has if that is more (§5.1.3).
        """
        self.assertIs(roleAfter(VISITOR, NONE, MEMBER, True), PARTICIPANT)
        self.assertIs(roleAfter(VISITOR, NONE, ADMIN, True), MODERATOR)
        self.assertIs(roleAfter(MODERATOR, NONE, MEMBER, True), MODERATOR)
        self.assertIs(roleAfter(PARTICIPANT, ADMIN, OWNER, False), MODERATOR)

    def test_fall(self) -> None:
        """
        Who falls keeps no more than what he would enter with.
        """
        self.assertIs(roleAfter(MODERATOR, OWNER, ADMIN, False), MODERATOR)
        self.assertIs(roleAfter(MODERATOR, OWNER, MEMBER, True), PARTICIPANT)
        self.assertIs(roleAfter(MODERATOR, ADMIN, NONE, True), VISITOR)
        self.assertIs(roleAfter(PARTICIPANT, MEMBER, NONE, True), VISITOR)
        self.assertIs(roleAfter(PARTICIPANT, MEMBER, NONE, False), PARTICIPANT)

    def test_neverMoreByFalling(self) -> None:
        """
        Nobody gets a higher role by losing an affiliation: a member without voice does not get it back by that.
        """
        self.assertIs(roleAfter(VISITOR, MEMBER, NONE, False), VISITOR)
        for role, old, new, moderated in product(list(Role)[1:], list(Affiliation), list(Affiliation), (True, False)):
            if NONE <= new < old:
                self.assertLessEqual(roleAfter(role, old, new, moderated), role)


class AffiliationChangeTests(SynchronousTestCase):
    """
    Who may change whose affiliation.
    """

    def test_everyCase(self) -> None:
        """
        An owner may do all; an admin may set anything below himself for those who are below himself, is told
        C{not-allowed} when he bans his like or better (§9.1) and C{forbidden} about all else; nobody else may do
        anything (§5.2.2).
        """
        for actor, old, new in product(Affiliation, Affiliation, Affiliation):
            if actor is OWNER or (actor is ADMIN and old < ADMIN and new < ADMIN):
                expected = "yes"
            elif actor is ADMIN and old >= ADMIN and new is OUTCAST:
                expected = "not-allowed"
            else:
                expected = "forbidden"
            found = outcome(lambda a=actor, o=old, n=new: checkAffiliationChange(a, o, n))  # type: ignore[misc]
            self.assertEqual(found, expected, (actor, old, new))


class RoleChangeTests(SynchronousTestCase):
    """
    Who may change whose role.
    """

    def change(
        self,
        actor: Affiliation,
        target: Affiliation,
        old: Role,
        new: Role,
        role: Role = MODERATOR,
        oneself: bool = False,
    ) -> str:
        """
        The outcome of one change.
        """
        return outcome(lambda: checkRoleChange(role, actor, old, target, new, oneself))

    def test_moderatorsOnly(self) -> None:
        """
        Nobody but a moderator changes any role, whatever his affiliation, not even his own (§8).
        """
        for role, actor, target, old, new, oneself in product(
            (NOBODY, VISITOR, PARTICIPANT), Affiliation, Affiliation, Role, Role, (True, False)
        ):
            self.assertEqual(self.change(actor, target, old, new, role, oneself), "forbidden")

    def test_nothing(self) -> None:
        """
        Giving somebody the role that he has is no offence.
        """
        for role in Role:
            self.assertEqual(self.change(NONE, OWNER, role, role), "yes")

    def test_voice(self) -> None:
        """
        Every moderator may grant voice (§8.3).
        """
        for actor, target in product(RANKS, repeat=2):
            self.assertEqual(self.change(actor, target, VISITOR, PARTICIPANT), "yes")

    def test_voiceRevoked(self) -> None:
        """
        Voice is never taken from an admin or an owner, nor from one whose affiliation is at or above the
        moderator's; but "none" is no affiliation (§8.4, §5.1.1).
        """
        for actor, target in product(RANKS, repeat=2):
            denied = target >= ADMIN or (target >= actor and target is not NONE)
            expected = "not-allowed" if denied else "yes"
            self.assertEqual(self.change(actor, target, PARTICIPANT, VISITOR), expected, (actor, target))

    def test_ownVoice(self) -> None:
        """
        A moderator may fall silent himself, unless he is an admin or an owner, whose voice nobody takes.
        """
        for actor in (NONE, MEMBER):
            self.assertEqual(self.change(actor, actor, MODERATOR, VISITOR, oneself=True), "yes")
            self.assertEqual(self.change(actor, actor, MODERATOR, PARTICIPANT, oneself=True), "yes")
        for actor in (ADMIN, OWNER):
            self.assertEqual(self.change(actor, actor, MODERATOR, VISITOR, oneself=True), "not-allowed")

    def test_kick(self) -> None:
        """
        A participant or visitor is kicked by any moderator whose affiliation is not lower (§8.2).
        """
        for actor, target, old in product(RANKS, RANKS, (VISITOR, PARTICIPANT)):
            expected = "not-allowed" if target > actor else "yes"
            self.assertEqual(self.change(actor, target, old, NOBODY), expected, (actor, target))

    def test_kickModerator(self) -> None:
        """
        A moderator is kicked only by an admin or an owner who is not below him (§5.1.3, §8.2), or by himself.
        """
        for actor, target in product(RANKS, repeat=2):
            expected = "yes" if actor >= ADMIN and target <= actor else "not-allowed"
            self.assertEqual(self.change(actor, target, MODERATOR, NOBODY), expected, (actor, target))
            self.assertEqual(self.change(actor, actor, MODERATOR, NOBODY, oneself=True), "yes")

    def test_moderator(self) -> None:
        """
        Moderators are made by admins and owners (§9.6).
        """
        for actor, old in product(RANKS, (VISITOR, PARTICIPANT)):
            expected = "yes" if actor >= ADMIN else "forbidden"
            self.assertEqual(self.change(actor, NONE, old, MODERATOR), expected)

    def test_moderatorRevoked(self) -> None:
        """
        Admins and owners unmake moderators, but never one who is an admin or an owner (§9.7).
        """
        for actor, target, new in product(RANKS, RANKS, (VISITOR, PARTICIPANT)):
            if target >= ADMIN:
                expected = "not-allowed"
            else:
                expected = "yes" if actor >= ADMIN else "forbidden"
            self.assertEqual(self.change(actor, target, MODERATOR, new), expected, (actor, target))
