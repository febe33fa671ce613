# -*- test-case-name: tests.im.test_registrationpolicy -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Who may register, and what names and passwords users may choose."""

from __future__ import annotations

from dataclasses import dataclass

from muccore.xmpp import jid
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import InvalidJID
from muccore.xmpp.scramkeys import saslprep


@dataclass
class RegistrationPolicy:
    """
    The rules of one host, which a new configuration changes.

    @ivar minimumLength: the least characters of a password, prepared.
    @ivar plaintext: whether passwords may be sent over a connection that is not encrypted.
    @ivar mode: who may register: C{"closed"}, C{"invited"} or C{"open"}.
    @ivar url: the page for those who may not; C{""} for none.
    @ivar nameLength: the most bytes of a name.
    @ivar reservedNames: names that nobody may register, prepared.
    @ivar invitationTime: seconds for which an invitation can be used.
    @ivar userInvitations: whether every user may invite.
    @ivar guests: whether the host has guests.
    """

    minimumLength: int
    plaintext: bool
    mode: str = "closed"
    url: str = ""
    nameLength: int = 64
    reservedNames: frozenset[str] = frozenset()
    invitationTime: float = 0.0
    userInvitations: bool = False
    guests: bool = False

    def checkName(self, name: str) -> str:
        """
        Check the name that a user has chosen for an account; return its local part.

        @raise StanzaError: C{not-acceptable}, with the reason.
        """
        try:
            local = jid.prepareLocal(name)
        except InvalidJID as e:
            raise StanzaError("not-acceptable", text=f"This is no name of an account: {e}.") from None
        if len(local.encode()) > self.nameLength:
            raise StanzaError("not-acceptable", text=f"The name is longer than {self.nameLength} bytes.")
        # With a guest's name, somebody would have their address too.
        if local in self.reservedNames or (self.guests and isGuestName(local)):
            raise StanzaError("not-acceptable", text="This name cannot be registered; choose another one.")
        return local

    def checkPassword(self, local: str, password: str) -> None:
        """
        Check the password that a user has chosen for an account with a local part.

        @raise StanzaError: C{not-acceptable}, with the reason.
        """
        try:
            prepared = saslprep(password)
        except ValueError as e:
            raise StanzaError("not-acceptable", text=f"This password cannot be used: {e}.") from None
        if len(prepared) < self.minimumLength:
            text = f"The password is too short: it must have at least {self.minimumLength} characters."
            raise StanzaError("not-acceptable", text=text)
        if prepared.casefold() == local.casefold():
            raise StanzaError("not-acceptable", text="The password must not be the name of the account.")
