# -*- test-case-name: tests.muc.model.test_privileges -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Affiliations and roles, and who may do what to whom (XEP-0045 §5, §8, §9, §10).

The checks raise the L{StanzaError} that the text asks for; they know no room and no occupant.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from muccore.xmpp.errors import StanzaError


class Affiliation(IntEnum):
    """A long-lived association with a room, in rising order (XEP-0045 §5.2)."""

    OUTCAST = -1
    NONE = 0
    MEMBER = 1
    ADMIN = 2
    OWNER = 3

    @property
    def xmlName(self) -> str:
        """How it is written in a stanza."""
        return self.name.lower()


class Role(IntEnum):
    """A position for the time of a visit, in rising order (XEP-0045 §5.1)."""

    NONE = 0
    VISITOR = 1
    PARTICIPANT = 2
    MODERATOR = 3

    @property
    def xmlName(self) -> str:
        """How it is written in a stanza."""
        return self.name.lower()


AFFILIATIONS: Final = {affiliation.xmlName: affiliation for affiliation in Affiliation}
ROLES: Final = {role.xmlName: role for role in Role}


def parseAffiliation(word: str) -> Affiliation:
    """@raise StanzaError: C{bad-request} for a word that is no affiliation."""
    try:
        return AFFILIATIONS[word]
    except KeyError:
        raise StanzaError("bad-request", text=f"Unknown affiliation: {word[:32]!r}.") from None


def parseRole(word: str) -> Role:
    """@raise StanzaError: C{bad-request} for a word that is no role."""
    try:
        return ROLES[word]
    except KeyError:
        raise StanzaError("bad-request", text=f"Unknown role: {word[:32]!r}.") from None


def initialRole(affiliation: Affiliation, moderated: bool) -> Role:
    """The role with which somebody enters (XEP-0045 §5.1.2)."""
    if affiliation >= Affiliation.ADMIN:
        return Role.MODERATOR
    if affiliation is Affiliation.NONE and moderated:
        return Role.VISITOR
    return Role.PARTICIPANT


def roleAfterAffiliationChange(role: Role, old: Affiliation, new: Affiliation, moderated: bool) -> Role:
    """
    An occupant's role after a change of affiliation: who rises keeps at least what he had; who falls keeps at most
    what he would enter with now (XEP-0045 §5.1.3: what is gained is settled, what is lost is left to the
    implementation). So nobody gets his voice back by losing something.
    """
    initial = initialRole(new, moderated)
    return max(role, initial) if new > old else min(role, initial)


def checkAffiliationChange(actor: Affiliation, old: Affiliation, new: Affiliation) -> None:
    """
    Whether somebody may change another one's affiliation (XEP-0045 §5.2.2, §9, §10).

    Banning oneself and removing the last owner are not decided here.

    @raise StanzaError: C{forbidden} for one who has no say in that list, C{not-allowed} for an admin who bans his
        like or better (§9.1).
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
    actorRole: Role, actor: Affiliation, oldRole: Role, target: Affiliation, newRole: Role, oneself: bool
) -> None:
    """
    Whether an occupant may change another one's role (XEP-0045 §5.1.3, §8.2 to §8.5, §9.6, §9.7).

    @param oneself: whether the occupant means himself.
    @raise StanzaError: C{forbidden} for one who has no say, C{not-allowed} for one whom it does not reach.
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
        _checkKick(actor, oldRole, target, oneself)
        return
    if oldRole is Role.MODERATOR:
        _checkModeratorRevoked(actor, target, oneself)
    if newRole is Role.VISITOR:
        _checkVoiceRevoked(actor, target, oneself)


def _checkKick(actor: Affiliation, oldRole: Role, target: Affiliation, oneself: bool) -> None:
    """§8.2: nobody is kicked from below; a moderator only by an admin or an owner (§5.1.3)."""
    if target > actor or (oldRole is Role.MODERATOR and actor < Affiliation.ADMIN and not oneself):
        raise StanzaError("not-allowed")


def _checkModeratorRevoked(actor: Affiliation, target: Affiliation, oneself: bool) -> None:
    """§9.7: only by an admin or an owner (or by the moderator himself), and never from one."""
    if target >= Affiliation.ADMIN:
        raise StanzaError("not-allowed")
    if actor < Affiliation.ADMIN and not oneself:
        raise StanzaError("forbidden")


def _checkVoiceRevoked(actor: Affiliation, target: Affiliation, oneself: bool) -> None:
    """
    §8.4: never from an admin or an owner, nor from one whose affiliation is not below the moderator's. "None" is no
    affiliation, so that an unaffiliated moderator can still moderate.
    """
    if target >= Affiliation.ADMIN:
        raise StanzaError("not-allowed")
    if target >= actor and target is not Affiliation.NONE and not oneself:
        raise StanzaError("not-allowed")
