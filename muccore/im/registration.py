# -*- test-case-name: tests.server.test_accounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
In-band registration (XEP-0077) by users who are logged in: they change their password (§3.3), and remove their account
(§3.2). L{muccore.stream.registration} has what comes before the log-in.

Where the text leaves a choice:

  - Requests without C{to}, to the account itself and to its host are the same.
  - No old password is asked for: the client has logged in with it.
  - Errors do not contain the request, whatever it was (§3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from muccore.im.registrationpolicy import RegistrationPolicy
from muccore.interfaces import AccountBusy, IAccounts, IUserDomain, NoSuchUser, NotManageable, StoreError
from muccore.log.eventlog import logStoreFailure
from muccore.log.logger import Logger
from muccore.routing.handler import ANSWERED, BARE, HOST, Handler
from muccore.xmpp import dataforms, jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.specs import Spec

PASSWORD_SIZE: Final = 1024
"""Characters of a password in a request; more are not looked at."""

USERNAME: Final = dataforms.Field("text-single", "username", "Name", required=True)
PASSWORD: Final = dataforms.Field("text-private", "password", "Password", required=True)

_log: Final = Logger()


@contextmanager
def answering() -> Iterator[None]:
    """Answer with the stanza error for what L{IAccounts} raises inside."""
    try:
        yield
    except NotManageable:
        raise StanzaError("not-allowed", text="Accounts of this server are managed elsewhere.") from None
    except AccountBusy:
        raise StanzaError("conflict", "wait", "The account is being changed.") from None
    except NoSuchUser:
        raise StanzaError("registration-required") from None
    except ValueError as e:
        raise StanzaError("not-acceptable", text=f"This password cannot be used: {e}.") from None
    except StoreError as e:
        logStoreFailure(_log, "an account could not be changed: {error}", "accounts", error=str(e))
        text = "The account could not be changed; try again later."
        raise StanzaError("internal-server-error", "wait", text) from None


class RegistrationHandler(Handler):
    """Answers the requests of users about their own accounts."""

    implements = (Spec(77, "In-Band Registration", "2.4", "Of accounts too; off for new ones by default."),)

    parent: IUserDomain

    def __init__(self, accounts: IAccounts, policy: RegistrationPolicy, rate: Callable[[str], bool]) -> None:
        """@param rate: called with an account that changes its password; returns whether it may."""
        super().__init__()
        self._rate = rate
        self._accounts = accounts
        self._policy = policy

    @property
    def features(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is discovered (§8): nothing if accounts cannot be changed."""
        return (ns.REGISTER,) if self._accounts.manageable else ()

    def onGet(self, element: Element, to: JID) -> Element:
        """Tell what the account is registered with (§3.1)."""
        account = self._accountOf(element, "service-unavailable")
        query = Element((ns.REGISTER, "query"))
        query.add("registered")
        query.add("username", text=account.local)
        query.add("password")
        query.add("instructions", text="To change your password, submit your name and the new password.")
        return query

    async def onSet(self, element: Element, to: JID) -> Any:
        """Change the password, or remove the account."""
        query = next(element.childElements())
        # Whatever is answered, the password is not part of it.
        element.children = []
        if query.child("remove", ns.REGISTER) is not None:
            return await self._remove(element, query)
        return await self._setPassword(element, query)

    def _accountOf(self, element: Element, condition: str) -> JID:
        """
        The account that sends a request.

        @raise StanzaError: C{condition} if it is none of this host; C{not-allowed} if it cannot be changed.
        """
        account = jid.parse(element.attributes["from"]).bareJID()
        if account.domain != self.parent.name or not account.local:
            raise StanzaError(condition)
        if not self._accounts.manageable:
            raise StanzaError("not-allowed", text="Accounts of this server are managed elsewhere.")
        return account

    async def _remove(self, element: Element, query: Element) -> Any:
        account = self._accountOf(element, "registration-required")
        if sum(1 for _ in query.childElements()) > 1:
            raise StanzaError("bad-request", text="A request to unregister must contain nothing but <remove/>.")
        with answering():
            await self._accounts.remove(account, account.bare, lambda: self.replyDirectly(element))
        return ANSWERED

    async def _setPassword(self, element: Element, query: Element) -> None:
        account = self._accountOf(element, "not-allowed")
        name, password = submitted(query)
        if not self._isName(account, name):
            raise StanzaError("not-allowed", text="You can change the password of your own account only.")
        session = self.parent.sessions.byFullJID(jid.parse(element.attributes["from"]))
        if session is None or session.stream is None or not (session.stream.secure or self._policy.plaintext):
            raise StanzaError("not-authorized", "modify", "Your connection is not encrypted.")
        self._policy.checkPassword(account.local, password)
        if not self._rate(account.bare):
            raise StanzaError("resource-constraint", "wait", "The password was changed too often; try again later.")
        with answering():
            await self._accounts.setPassword(account, password, account.bare)

    @staticmethod
    def _isName(account: JID, name: str) -> bool:
        """Whether a name in a request is that of an account: its local part, or its address as in the examples."""
        try:
            if "@" in name:
                return jid.parse(name) == account
            return jid.prepareLocal(name) == account.local
        except InvalidJID:
            return False

    iqs = {
        ("get", HOST, ns.REGISTER, "query"): onGet,
        ("set", HOST, ns.REGISTER, "query"): onSet,
        ("get", BARE, ns.REGISTER, "query"): onGet,
        ("set", BARE, ns.REGISTER, "query"): onSet,
    }


def submitted(query: Element, missing: str = "bad-request") -> tuple[str, str]:
    """
    The name and the password in a request, from the form if there is one (§4).

    @param missing: the condition of the error if one of both is missing.
    @raise StanzaError: C{missing}; C{bad-request} for a form and fields; C{not-acceptable} for one that is empty or too
        long.
    """
    x = dataforms.find(query)
    fields: dict[str, str] = {}
    if x is None:
        for name in ("username", "password"):
            text = query.childText(name)
            if text is not None:
                fields[name] = text
    elif query.child("username") is not None or query.child("password") is not None:
        raise StanzaError("bad-request", text="Submit either the form or the fields.")
    else:
        values = dataforms.submitted(x, ns.REGISTER, [USERNAME, PASSWORD])
        fields = {name: str(value) for name, value in (values or {}).items()}
    if len(fields) < 2:
        raise StanzaError(missing, text="Submit both name and password.")
    name, password = fields["username"], fields["password"]
    if not name or not password or len(password) > PASSWORD_SIZE:
        raise StanzaError("not-acceptable", text="The name or the password is empty, or too long.")
    return name, password
