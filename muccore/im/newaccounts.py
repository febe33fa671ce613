# -*- test-case-name: tests.server.test_newaccounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Registration of new accounts (XEP-0077 §3.1) by clients that are not logged in, with invitations (XEP-0445), and these
invitations (XEP-0401). L{muccore.stream.registration} is what streams have of it.

Where the text leaves a choice:

  - Who needs an invitation and has none is refused with C{not-allowed}, or gets the page that is configured (§6).
  - Too many attempts are refused with C{resource-constraint}; they are counted whether they succeed or not, since a
    C{conflict} tells who has an account.
  - A name that an account had which was removed a short time ago, or that is kept for somebody who was invited, is a
    C{conflict}, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from twisted.internet.defer import DeferredLock
from zope.interface import implementer

from muccore.im.accounts import Accounts
from muccore.im.invitations import Invitation, InvitationRecords, TooManyInvitations, hashOf
from muccore.im.registration import PASSWORD, USERNAME, answering, submitted
from muccore.im.registrationpolicy import RegistrationPolicy
from muccore.interfaces import (
    AccountBusy,
    IInvitations,
    IRegistrar,
    IssuedInvitation,
    IUserDataStore,
    NameReserved,
    RegistrationState,
    StoreError,
    UserExists,
)
from muccore.log.logger import Logger
from muccore.xmpp import dataforms, jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec
from muccore.xmpp.uris import xmppURI

implements = (
    Spec(401, "Ad-hoc Account Invitation Generation", "0.6.0", "Without landing pages."),
    Spec(379, "Pre-Authenticated Roster Subscription", "0.3.3", "With the invitations of XEP-0401."),
    Spec(445, "Pre-Authenticated In-Band Registration", "0.2.0"),
)

_INSTRUCTIONS: Final = "Choose a name and a password."
_TOKEN_SIZE: Final = 256

_log: Final = Logger()

Rate = Callable[[str], bool]
"""Called with the address of a client that tries to register; returns whether it may."""

Subscribe = Callable[[JID, JID], Awaitable[object]]
"""Makes two accounts contacts of each other."""


@implementer(IRegistrar, IInvitations)
class NewAccounts:
    """
    Registers accounts of one host.

    @ivar policy: what names and passwords are accepted, and who may register.
    """

    def __init__(
        self, accounts: Accounts, store: IUserDataStore, host: str, policy: RegistrationPolicy, rate: Rate,
        subscribe: Subscribe,
    ) -> None:  # fmt: skip
        self.policy = policy
        self.records = InvitationRecords(store, host, lambda: accounts.parent.now())
        self._accounts = accounts
        self._host = host
        self._rate = rate
        self._subscribe = subscribe
        # Otherwise those who ask at the same time would not be counted.
        self._issuing = DeferredLock()

    async def forgetInviter(self, account: JID) -> None:
        """Make the invitations void of an account of any host that is being removed."""
        await self.records.forget(account.bare)

    async def start(self) -> None:
        """Remove invitations that have expired. Never fails: that is logged."""
        try:
            await self.records.expire()
        except StoreError as e:
            _log.error("{domain}: invitations cannot be read: {error}", domain=self._host, error=str(e))

    # Who may

    @property
    def offersRegistration(self) -> bool:
        """See L{IRegistrar}."""
        return self._accounts.manageable and (self.policy.mode != "closed" or bool(self.policy.url))

    @property
    def offersTokens(self) -> bool:
        """See L{IRegistrar}."""
        return self.allowed

    @property
    def allowed(self) -> bool:
        """See L{IInvitations}."""
        return self._accounts.manageable and self.policy.mode != "closed"

    def allowsUser(self, user: JID) -> bool:
        """See L{IInvitations.allowsUser}."""
        isGuest = self.policy.guests and isGuestName(user.local)
        return self.allowed and self.policy.userInvitations and not isGuest

    # Requests

    async def answer(self, iq: Element, address: str, state: RegistrationState) -> Element | None:
        """See L{IRegistrar.answer}."""
        with answering():
            return await self._answer(iq, address, state)

    async def _answer(self, iq: Element, address: str, state: RegistrationState) -> Element | None:
        payload = next(iq.childElements())
        if payload.name == "preauth":
            if iq.get("type") != "set":
                raise StanzaError("bad-request")
            await self._accept(payload, address, state)
            return None
        if state.registered:
            raise StanzaError("not-acceptable", text="You have registered an account already; log in.")
        invitation: Invitation | None = state.invitation
        if self.policy.mode == "closed" or (self.policy.mode == "invited" and invitation is None):
            if iq.get("type") == "get" and self.policy.url:
                return self._redirection()
            raise StanzaError("not-allowed", text="Accounts are registered here by invitation only.")
        if iq.get("type") == "get":
            return self._form("" if invitation is None else invitation.local)
        await self._register(payload, address, state, invitation)
        return None

    async def _accept(self, payload: Element, address: str, state: RegistrationState) -> None:
        """Check the token of an invitation (XEP-0445 §5)."""
        token = payload.get("token") or ""
        if not self.offersTokens:
            raise StanzaError("service-unavailable")
        if not self._rate(address):
            raise StanzaError("resource-constraint", "wait", "Too many attempts; try again later.")
        found = await self.records.find(hashOf(token)) if 0 < len(token) <= _TOKEN_SIZE else None
        if found is None or (found.claimed and await self._accounts.has(JID(found.claimed, self._host, ""))):
            raise StanzaError("item-not-found", "cancel", "The provided token is invalid or expired.")
        state.key, state.invitation = hashOf(token), found

    def _redirection(self) -> Element:
        query = Element((ns.REGISTER, "query"))
        query.add("instructions", text=f"To register, visit {self.policy.url}")
        query.add("x", ns.OOB).add("url", text=self.policy.url)
        return query

    @staticmethod
    def _form(local: str) -> Element:
        query = Element((ns.REGISTER, "query"))
        query.add("instructions", text=_INSTRUCTIONS)
        query.add("username", text=local)
        query.add("password")
        fields = [(USERNAME, local or None), (PASSWORD, None)]
        query.children.append(dataforms.form("form", ns.REGISTER, fields, "Registration", [_INSTRUCTIONS]))
        return query

    async def _register(
        self, query: Element, address: str, state: RegistrationState, invitation: Invitation | None
    ) -> None:
        if not self._rate(address):
            raise StanzaError("resource-constraint", "wait", "Too many attempts to register; try again later.")
        if query.child("remove", ns.REGISTER) is not None:
            raise StanzaError("unexpected-request", text="You are not logged in.")
        name, password = submitted(query, missing="not-acceptable")
        local = self.policy.checkName(name)
        key = state.key
        if invitation is not None and self.records.isUsed(key):
            raise _used()
        if invitation is not None and invitation.local not in ("", local):
            raise StanzaError("not-acceptable", text=f"This invitation is for the name {invitation.local}.")
        self.policy.checkPassword(local, password)
        if await self.records.isReserved(local, key):
            raise StanzaError("conflict", text="This name is taken; choose another one.")
        account = JID(local, self._host, "")
        if invitation is None:
            await self._create(account, password, address)
        else:
            if not await self.records.claim(key, invitation, local):
                raise _used()
            try:
                await self._create(account, password, address)
            except Exception as e:
                # After the commit of the account, something else may have failed: then the invitation was used.
                if isinstance(e, StanzaError) or not await self._accounts.has(account):
                    self.records.release(key)
                raise
            try:
                await self.records.remove(key, invitation)
            except StoreError as e:
                # There is the account, for which it is claimed: nobody else can use it.
                _log.error("the invitation of {account} stays: {error}", account=account.bare, error=str(e))
        state.registered = True
        if invitation is not None and invitation.subscribe and invitation.inviter:
            try:
                await self._subscribe(account, jid.parse(invitation.inviter))
            except (StanzaError, StoreError) as e:
                _log.error("{account} and its inviter are no contacts: {error}", account=account.bare, error=str(e))

    async def _create(self, account: JID, password: str, address: str) -> None:
        try:
            await self._accounts.create(account, password, address)
        except (UserExists, NameReserved, AccountBusy):
            raise StanzaError("conflict", text="This name is taken; choose another one.") from None

    async def redeem(self, account: str, token: str) -> bool:
        """
        Use an invitation of an account to become its contact (XEP-0401 §6.3.1).

        @return: whether there is one with this token.
        """
        if not 0 < len(token) <= _TOKEN_SIZE:
            return False
        key = hashOf(token)
        found = await self.records.find(key)
        if found is None or not found.subscribe or found.local or found.inviter != account:
            return False
        if found.claimed and await self._accounts.has(JID(found.claimed, self._host, "")):
            return False
        if not await self.records.claim(key, found, ""):
            return False
        await self.records.remove(key, found)
        return True

    # IInvitations

    async def inviteContact(self, inviter: JID) -> IssuedInvitation:
        """See L{IInvitations.inviteContact}."""
        async with self._issuing:
            token, until = await self._issue("", inviter.bare, True)
        return IssuedInvitation(xmppURI(inviter.bareJID(), f"roster;preauth={token};ibr=y"), until)

    async def inviteAccount(self, inviter: JID | None, local: str, subscribe: bool) -> IssuedInvitation:
        """See L{IInvitations.inviteAccount}."""
        account = JID(local, self._host, "")
        async with self._issuing:
            with answering():
                taken = local and (await self._accounts.has(account) or await self.records.isReserved(local, ""))
            if taken:
                raise StanzaError("conflict", text=f"There is an account {account.bare}, or an invitation to it.")
            token, until = await self._issue(local, "" if inviter is None else inviter.bare, subscribe)
        return IssuedInvitation(xmppURI(account, f"register;preauth={token}"), until)

    async def _issue(self, local: str, inviter: str, subscribe: bool) -> tuple[str, float]:
        until = float(int(self._accounts.parent.now() + self.policy.invitationTime))
        try:
            with answering():
                token = await self.records.add(Invitation(until, local, inviter, subscribe))
        except TooManyInvitations:
            text = "Too many invitations can still be used; wait until some have expired."
            raise StanzaError("resource-constraint", "wait", text) from None
        return token, until


def _used() -> StanzaError:
    return StanzaError("not-allowed", text="The invitation was used meanwhile.")
