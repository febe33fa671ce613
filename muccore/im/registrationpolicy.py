# -*- test-case-name: tests.im.test_registrationpolicy -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What names and passwords users may choose."""

from __future__ import annotations

from muccore.xmpp.errors import StanzaError
from muccore.xmpp.scramkeys import saslprep


class RegistrationPolicy:
    """
    The rules.

    @ivar passwordLength: the least characters of a password, prepared.
    @ivar plaintext: whether passwords may be sent over a connection that is not encrypted.
    """

    def __init__(self, passwordLength: int, plaintext: bool) -> None:
        self.passwordLength = passwordLength
        self.plaintext = plaintext

    def checkPassword(self, local: str, password: str) -> None:
        """
        Check the password that a user has chosen for an account with a local part.

        @raise StanzaError: C{not-acceptable}, with the reason.
        """
        try:
            prepared = saslprep(password)
        except ValueError as e:
            raise StanzaError("not-acceptable", text=f"This password cannot be used: {e}.") from None
        if len(prepared) < self.passwordLength:
            text = f"The password is too short: it must have at least {self.passwordLength} characters."
            raise StanzaError("not-acceptable", text=text)
        if prepared.casefold() == local.casefold():
            raise StanzaError("not-acceptable", text="The password must not be the name of the account.")
