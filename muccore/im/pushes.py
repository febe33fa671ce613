# -*- test-case-name: tests.im.test_pushes -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Push notifications (XEP-0357): a service that a client has enabled is told of messages while the client is away.

A client is away while its session has no stream, while it says that nobody is using it (XEP-0352: its operating system
may have stopped it), and when its session has ended. Other clients of the account make no difference.

Of conversations in rooms only mentions count. Local rooms deliver straight to sessions, so those tell of messages
that they keep or pass on while their client is away.

A service has one notification at a time: what comes before it has answered is in the next one. It is told that there is
a message, and who has sent it and what it says only if the configuration wants that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.words.xish.domish import SerializedXML
from wokkel import disco
from zope.interface import implementer

from muccore.im.pushregistrations import (
    KEY,
    KIND,
    PushRegistration,
    Registrations,
    decode,
    encode,
    parseEnable,
    parseTarget,
    withRegistration,
)
from muccore.im.pushrules import isMention, isWorthPushing
from muccore.im.userdata import storing
from muccore.im.userstate import UserState, UserStates
from muccore.interfaces import IHeldMessageObserver, ISession, IUserDataStore, IUserDomain
from muccore.interfaces.filters import CONSUMED, COPIES
from muccore.interfaces.handlers import BARE, NOT_HANDLED, answersAnyone, mayDecline
from muccore.log.eventlog import PUSH_DISABLED
from muccore.routing.handler import Handler
from muccore.routing.turns import WAITING_LIMIT, Turns
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError, conditionOf
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, escapeText
from muccore.xmpp.specs import Spec
from muccore.xmpp.uniqueids import newId

NOTHING: Final = "nothing"
SENDER: Final = "sender"
TEXT: Final = "text"
CONTENTS: Final = (NOTHING, SENDER, TEXT)
"""What services may be told of a message, each with what is before it."""

TIMEOUT: Final = 60
"""Seconds within which a service has to answer."""

ERRORS_LIMIT: Final = 10
"""Transient errors in a row after which a service is disabled."""

TEXT_SIZE: Final = 255
"""Characters of a message that services are told."""

STAGE: Final = COPIES + 50
"""The stage of the filter: after those that refuse."""

_REFERENCE: Final = ns.REFERENCE.encode()

_TRANSIENT: Final = frozenset(
    [
        "internal-server-error", "recipient-unavailable", "remote-server-not-found", "remote-server-timeout",
        "resource-constraint", "service-unavailable",
    ]
)  # fmt: skip
"""Conditions that may pass: the service, or the way to it, is down (§7.1)."""


class _Publication:
    """
    What is known of publishing to a service.

    @ivar id: of the request that has no response yet, or C{None}.
    @ivar timeout: ends the waiting for it.
    @ivar fields: what the next notification tells.
    @ivar again: whether there is something new to tell.
    @ivar errors: transient ones in a row.
    """

    __slots__ = ("again", "errors", "fields", "id", "timeout")

    def __init__(self) -> None:
        self.id: str | None = None
        self.timeout: IDelayedCall | None = None
        self.fields: dict[str, str] = {}
        self.again = False
        self.errors = 0


@implementer(IHeldMessageObserver)
class PushHandler(Handler):
    """
    Answers the requests of clients, and publishes.

    @ivar content: what services are told of messages, one of L{CONTENTS}.
    @ivar guests: whether the domain has guests, for whom nothing is stored.
    """

    implements = (Spec(357, "Push Notifications", "0.4.1", "Of messages; in rooms, of mentions."),)

    parent: IUserDomain

    def __init__(
        self, store: IUserDataStore, states: UserStates, roomServices: Collection[str], content: str = NOTHING
    ) -> None:
        """@param roomServices: the domains that have rooms of this server."""
        super().__init__()
        self.content = content
        self.guests = False
        self._store = store
        self._states = states
        self._roomServices = roomServices
        self._turns = Turns(WAITING_LIMIT)
        # By account, service and node; those that wait for a response, or have had errors.
        self._publications: dict[tuple[str, str, str], _Publication] = {}
        self._requests: dict[str, tuple[JID, PushRegistration]] = {}
        states.loaders.append(self._load)

    # Registrations

    async def _load(self, account: JID, state: UserState) -> None:
        state.pushes = decode(await self._store.get(account.bare, KIND, KEY))

    def getDiscoInfo(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> list[Any]:
        """See C{IDisco}: the feature is that of accounts (§4.1)."""
        if not target.user or target.resource or nodeIdentifier or (self.guests and isGuestName(target.user)):
            return []
        return [disco.DiscoFeature(ns.PUSH)]

    async def onEnable(self, element: Element, to: JID) -> None:
        """§5"""
        enabled = parseEnable(next(element.childElements()), jid.parse(element.attributes["from"]))
        await self._change(to, lambda old: withRegistration(old, enabled), element)

    async def onDisable(self, element: Element, to: JID) -> None:
        """§6"""
        service, node = parseTarget(next(element.childElements()))

        def change(old: Registrations) -> Registrations:
            return {
                target: each
                for target, each in old.items()
                if each.service != service.full or node not in (None, each.node)
            }

        await self._change(to, change, element)

    async def _change(
        self, account: JID, change: Callable[[Registrations], Registrations], element: Element | None = None
    ) -> None:
        """
        Change the registrations of an account: durable, and then in effect.

        @raise StanzaError: if the store fails.
        """
        async with self._turns.take(account.bare, element):
            with storing():
                old = await self._store.get(account.bare, KIND, KEY)
                new = change(decode(old))
                document = encode(new)
                if document != old:
                    await self._store.change(account.bare, {(KIND, KEY): document})
            state = self._states.get(account.bare)
            if state is not None:
                state.pushes = new

    async def forget(self, account: JID) -> None:
        """Wait for requests of an account that is being removed, and tell its services nothing more."""
        await self._turns.settle(account.bare)
        for key in [key for key in self._publications if key[0] == account.bare]:
            self._end(key)

    # Messages

    def onReceived(self, element: Element, to: JID, recipients: tuple[ISession, ...]) -> Any:
        """Tell services of a message to an account; if it is from one that wants no more, disable that (§8)."""
        state = self._states.get(to.bare)
        if state is None or not state.pushes:
            return element
        node = _revokedNode(element)
        if node is not None:
            revoked = state.pushes.get((element.attributes["from"], node))
            if revoked is None:
                return element
            self._drop(to.bareJID(), state, revoked, "revoked")
            return CONSUMED
        sessions = self.parent.sessions.forAccount(to.bare)
        if element.attributes.get("type") == "groupchat":
            # Of a room elsewhere.
            session = sessions.get(to.resource)
            if session is not None and not session.active:
                self._tell(session, state.pushes, element)
        elif isWorthPushing(element) and not self._isNoNews(element, to):
            for registration in state.pushes.values():
                self._notify(to.bareJID(), registration, element)
        return element

    def _isNoNews(self, message: Element, to: JID) -> bool:
        """Whether a message is from the user, or the copy of one to all in a room that the user is not in."""
        sender = jid.parse(message.attributes["from"])
        if sender.bare == to.bare:
            return True
        return sender.domain in self._roomServices and message.child("forwarded", ns.FORWARD) is not None

    def messageHeld(self, session: ISession, message: Rendered) -> None:
        """See L{IHeldMessageObserver.messageHeld}: others than those of local rooms have passed L{onReceived}."""
        state = session.userState
        if state is None or not state.pushes or b"<body" not in message.tail:
            return
        if message.type == "groupchat" and not _mayMention(session, message):
            return
        sender = jid.parse(message.element.attributes["from"])
        if sender.domain in self._roomServices:
            self._tell(session, state.pushes, message.element)

    def _tell(self, session: ISession, registrations: Registrations, message: Element) -> None:
        """Tell the services of one client of a message of a room, if it concerns the user."""
        own = [each for each in registrations.values() if each.resource == session.jid.resource]
        if own and self._concerns(session, message):
            for registration in own:
                self._notify(session.account, registration, message)

    def _concerns(self, session: ISession, message: Element) -> bool:
        if message.attributes.get("type") != "groupchat":
            return isWorthPushing(message)
        sender = jid.parse(message.attributes["from"])
        nick = next((each.resource for each in session.directed.values() if each.bare == sender.bare), None)
        if not nick or sender.resource in ("", nick) or message.child("delay", ns.DELAY) is not None:
            return False
        return isMention(message, session.account.bare, sender.bare, nick)

    # Notifications

    def _isAway(self, account: JID, registration: PushRegistration) -> bool:
        session = self.parent.sessions.forAccount(account.bare).get(registration.resource)
        return session is None or not session.active

    def _notify(self, account: JID, registration: PushRegistration, message: Element) -> None:
        """Tell a service of a message, unless the client is not away."""
        if not self._isAway(account, registration):
            return
        key = (account.bare, *registration.target)
        publication = self._publications.get(key)
        if publication is None:
            publication = self._publications[key] = _Publication()
        publication.fields = self._summary(message)
        if publication.id is None:
            self._publish(account, registration, publication)
        else:
            publication.again = True

    def _summary(self, message: Element) -> dict[str, str]:
        # What has been read meanwhile is not known: there is one.
        fields = {"message-count": "1"}
        if self.content != NOTHING:
            fields["last-message-sender"] = message.attributes["from"]
        body = message.child("body", ns.CLIENT)
        if self.content == TEXT and body is not None:
            fields["last-message-body"] = body.text()[:TEXT_SIZE]
        return fields

    def _publish(self, account: JID, registration: PushRegistration, publication: _Publication) -> None:
        """§7"""
        publication.again = False
        publication.id = id = newId()
        publication.timeout = self.parent.clock.callLater(TIMEOUT, self._timedOut, id)
        self._requests[id] = account, registration
        request = stanza("iq", "set", from_=account.bare, to=registration.service, id=id)
        pubsub = request.add("pubsub", ns.PUBSUB)
        publish = pubsub.add("publish", **({"node": registration.node} if registration.node else {}))
        form = publish.add("item").add("notification", ns.PUSH).add("x", ns.DATA, type="submit")
        for name, value in {"FORM_TYPE": ns.PUSH_SUMMARY, **publication.fields}.items():
            form.add("field", var=name).add("value", text=value)
        if registration.options:
            pubsub.add("publish-options").children.append(SerializedXML(registration.options))
        self.parent.send(request)

    @mayDecline
    @answersAnyone
    def onResponse(self, element: Element, to: JID) -> Any:
        """A service has answered."""
        id = element.attributes.get("id", "")
        account, registration = self._requests.get(id, (None, None))
        if account is None or registration is None or account != to:
            return NOT_HANDLED
        if jid.parse(element.attributes["from"]).full != registration.service:
            return NOT_HANDLED
        if element.attributes["type"] == "result":
            self._answered(id, None, False)
        else:
            error = element.child("error")
            condition = conditionOf(element) or "undefined-condition"
            mayPass = condition in _TRANSIENT or (error is not None and error.get("type") == "wait")
            self._answered(id, condition, mayPass)
        return None

    def _timedOut(self, id: str) -> None:
        self._answered(id, "remote-server-timeout", True)

    def _answered(self, id: str, condition: str | None, mayPass: bool) -> None:
        """
        Go on after a response, or none.

        @param condition: of an error.
        @param mayPass: whether that is transient.
        """
        account, registration = self._requests.pop(id)
        key = (account.bare, *registration.target)
        publication = self._publications[key]
        if publication.timeout is not None and publication.timeout.active():
            publication.timeout.cancel()
        publication.id = publication.timeout = None
        publication.errors = publication.errors + 1 if condition else 0
        state = self._states.get(account.bare)
        if condition is not None and not (mayPass and publication.errors < ERRORS_LIMIT):
            self._drop(account, state, registration, condition)
            return
        current = state is not None and state.pushes.get(registration.target) == registration
        if publication.again and current and self._isAway(account, registration):
            self._publish(account, registration, publication)
        elif not (publication.errors and current):
            self._end(key)

    def _drop(self, account: JID, state: UserState | None, registration: PushRegistration, why: str) -> None:
        """Disable a service, unless it was enabled anew meanwhile with something else."""
        key = (account.bare, *registration.target)
        if key in self._publications:
            self._end(key)
        if state is not None:
            # At once: storing takes time, in which messages come.
            state.pushes = _without(state.pushes, registration)
        PUSH_DISABLED.log(account.bare, service=registration.service, condition=why)
        disabling = Deferred.fromCoroutine(self._change(account, lambda old: _without(old, registration)))
        # It is logged, and tried again after the next error.
        disabling.addErrback(lambda failure: failure.trap(StanzaError) and None)

    def _end(self, key: tuple[str, str, str]) -> None:
        publication = self._publications.pop(key)
        if publication.id is not None:
            self._requests.pop(publication.id)
        if publication.timeout is not None and publication.timeout.active():
            publication.timeout.cancel()

    iqs = {("set", BARE, ns.PUSH, "enable"): onEnable, ("set", BARE, ns.PUSH, "disable"): onDisable}
    stanzas = {("iq", "result", BARE): onResponse, ("iq", "error", BARE): onResponse}
    inbound = {("message", STAGE): onReceived}


def _revokedNode(message: Element) -> str | None:
    """The node to which an account may not publish any more, as the service tells it (§8); C{None} for others."""
    pubsub = message.child("pubsub", ns.PUBSUB)
    affiliation = None if pubsub is None else pubsub.child("affiliation")
    if pubsub is None or affiliation is None or affiliation.get("affiliation") != "none":
        return None
    return pubsub.get("node")


def _without(registrations: Registrations, removed: PushRegistration) -> Registrations:
    return {target: each for target, each in registrations.items() if each != removed}


def _mayMention(session: ISession, message: Rendered) -> bool:
    """Whether a message may mention a user, as far as can be told without parsing it for each recipient."""
    if _REFERENCE in message.tail:
        return True
    text = message.tail.decode("utf-8", "replace").casefold()
    return any(escapeText(each.resource.casefold()) in text for each in session.directed.values() if each.resource)
