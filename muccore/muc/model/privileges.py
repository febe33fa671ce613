# -*- test-case-name: tests.muc.model.test_privileges -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Affiliations and roles, and who may change whose (XEP-0045 §5, §8, §9, §10).

The checks raise the L{StanzaError} of the specification; they know no room and no occupant.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cached_property
from typing import Final, Self

from muccore.xmpp.errors import StanzaError


class _Privilege(IntEnum):
    @cached_property
    def xmlName(self) -> str:
        """Its name in stanzas."""
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> Self:
        """@raise StanzaError: C{bad-request} for an unknown name."""
        for privilege in cls:
            if privilege.xmlName == word:
                return privilege
        raise StanzaError("bad-request", text=f"Unknown {cls.__name__.lower()}: {word[:32]!r}.")


class Affiliation(_Privilege):
    """A long-lived association with a room, in rising order (XEP-0045 §5.2)."""

    OUTCAST = -1
    NONE = 0
    MEMBER = 1
    ADMIN = 2
    OWNER = 3


class Role(_Privilege):
    """A position for the duration of a visit, in rising order (XEP-0045 §5.1)."""

    NONE = 0
    VISITOR = 1
    PARTICIPANT = 2
    MODERATOR = 3


AFFILIATIONS: Final = {affiliation.xmlName: affiliation for affiliation in Affiliation}


def initialRole(affiliation: Affiliation, moderated: bool) -> Role:
    """The role of a new occupant (XEP-0045 §5.1.2)."""
    if affiliation >= Affiliation.ADMIN:
        return Role.MODERATOR
    if affiliation is Affiliation.NONE and moderated:
        return Role.VISITOR
    return Role.PARTICIPANT


def roleAfterAffiliationChange(role: Role, old: Affiliation, new: Affiliation, moderated: bool) -> Role:
    """
    An occupant's role after a change of affiliation: at least the old one after a promotion, at most the initial one
    after a demotion (XEP-0045 §5.1.3 leaves demotions to the implementation). So nobody regains voice by losing an
    affiliation.
    """
    initial = initialRole(new, moderated)
    return max(role, initial) if new > old else min(role, initial)


def checkAffiliationChange(actor: Affiliation, old: Affiliation, new: Affiliation) -> None:
    """
    Check a change of another user's affiliation (XEP-0045 §5.2.2, §9, §10). Banning oneself and removing the last owner
    are checked elsewhere.

    @raise StanzaError: C{forbidden} without the privilege, C{not-allowed} for an admin who bans an admin or owner
        (§9.1).
    """
    if actor is Affiliation.OWNER:
        return
    if actor is not Affiliation.ADMIN:
        raise StanzaError("forbidden")
    if old >= Affiliation.ADMIN:
        raise StanzaError("not-allowed" if new is Affiliation.OUTCAST else "forbidden")
    if new >= Affiliation.ADMIN:
        raise StanzaError("forbidden")


def checkRoleChange(
    actorRole: Role, actor: Affiliation, oldRole: Role, target: Affiliation, newRole: Role, isSelf: bool
) -> None:
    """
    Check a change of an occupant's role by another (XEP-0045 §5.1.3, §8.2 to §8.5, §9.6, §9.7).

    @param isSelf: whether both are the same occupant.
    @raise StanzaError: C{forbidden} without the privilege, C{not-allowed} for a target that is exempt.
    """
    if actorRole is not Role.MODERATOR:
        raise StanzaError("forbidden")
    if newRole is oldRole:
        return
    if newRole is Role.MODERATOR:
        if actor < Affiliation.ADMIN:
            raise StanzaError("forbidden")
        return
    if newRole is Role.NONE:
        _checkKick(actor, oldRole, target, isSelf)
        return
    if oldRole is Role.MODERATOR:
        _checkModeratorRevoked(actor, target, isSelf)
    if newRole is Role.VISITOR:
        _checkVoiceRevoked(actor, target, isSelf)


def _checkKick(actor: Affiliation, oldRole: Role, target: Affiliation, isSelf: bool) -> None:
    """§8.2: only from an equal or higher affiliation; a moderator only by an admin or an owner (§5.1.3)."""
    if target > actor or (oldRole is Role.MODERATOR and actor < Affiliation.ADMIN and not isSelf):
        raise StanzaError("not-allowed")


def _checkModeratorRevoked(actor: Affiliation, target: Affiliation, isSelf: bool) -> None:
    """§9.7: only by an admin, an owner or the moderator themselves, and never from an admin or owner."""
    if target >= Affiliation.ADMIN:
        raise StanzaError("not-allowed")
    if actor < Affiliation.ADMIN and not isSelf:
        raise StanzaError("forbidden")


def _checkVoiceRevoked(actor: Affiliation, target: Affiliation, isSelf: bool) -> None:
    """
    §8.4: never from an admin or an owner, nor from an affiliation equal to or above the moderator's. "None" counts as
    no affiliation, so that an unaffiliated moderator can moderate.
    """
    if target >= Affiliation.ADMIN:
        raise StanzaError("not-allowed")
    if target >= actor and target is not Affiliation.NONE and not isSelf:
        raise StanzaError("not-allowed")


def checkModeration(role: Role | None, actor: Affiliation, author: Affiliation) -> None:
    """
    Check that a user may retract what another one wrote (XEP-0425 §3). Its text knows no ranks; here, as with voice
    (§8.4), what admins and owners wrote is exempt from those below them: what is retracted does not come back.

    @param role: the actor's role; C{None} if they are not in the room, where admins and owners act as moderators.
    @raise StanzaError: C{forbidden} without the privilege, C{not-allowed} for an author who is exempt.
    """
    if role is not Role.MODERATOR and actor < Affiliation.ADMIN:
        raise StanzaError("forbidden", text="Only moderators may retract what others wrote.")
    if author >= Affiliation.ADMIN and author > actor:
        raise StanzaError("not-allowed", text="You may not retract what an admin or owner above you wrote.")
