# Copyright (c) The muccore authors. See LICENSE for details.
"""Registration of accounts before the log-in (XEP-0077, XEP-0445), and invitations to it (XEP-0401)."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from zope.interface import Attribute, Interface

from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID


@dataclass
class RegistrationState:
    """
    What a stream has done before its log-in.

    @ivar key: the hash of the token of an invitation that was accepted, or C{""}.
    @ivar invitation: that invitation, as the registrar keeps it: from now on, it does not expire on this stream.
    @ivar registered: whether it has registered an account.
    """

    key: str = field(default="", repr=False)
    invitation: Any = field(default=None, repr=False)
    registered: bool = False


class IRegistrar(Interface):
    """Registers accounts of one host for clients that are not logged in."""

    offersRegistration = Attribute("C{bool}: whether clients may ask what registration needs.")
    offersTokens = Attribute("C{bool}: whether the token of an invitation allows registration.")

    def answer(iq: Element, address: str, state: RegistrationState) -> Awaitable[Element | None]:
        """
        Answer a request, which has one payload: C{<query/>} of C{jabber:iq:register}, or C{<preauth/>}.

        @param address: the address of the client.
        @param state: that of its stream, which is changed.
        @return: the payload of the result.
        @raise StanzaError: if it is refused.
        """


class IssuedInvitation(NamedTuple):
    """
    A new invitation.

    @ivar uri: the URI to hand on; it contains the token.
    @ivar expires: until when it can be used, in seconds since the epoch.
    """

    uri: str
    expires: float


class IInvitations(Interface):
    """Issues invitations to register at one host."""

    allowed = Attribute("C{bool}: whether an invitation would be of use: the host takes registrations.")

    def allowsUser(user: JID) -> bool:
        """Whether a user of this host, no admin, may invite. Guests may not."""

    def inviteContact(inviter: JID) -> Awaitable[IssuedInvitation]:
        """
        Invite somebody who becomes a contact of the inviter, a bare JID of this host.

        @raise StanzaError: C{resource-constraint} if too many invitations of theirs, or of all, can still be used.
        """

    def inviteAccount(inviter: JID | None, local: str, subscribe: bool) -> Awaitable[IssuedInvitation]:
        """
        Invite somebody to register an account.

        @param local: the local part that it must have, prepared; it is kept from others. C{""}: any.
        @param subscribe: whether it becomes a contact of the inviter.
        @raise StanzaError: as L{inviteContact}; C{conflict} if there is such an account.
        """
