# -*- test-case-name: tests.im.test_carbons -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Message carbons (XEP-0280): copies of messages for the other clients of both users."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from zope.interface import implementer

from muccore.im.userdomain import mayBeStored
from muccore.interfaces import InlineFeature, ISession, IStreamFeature, IUserDomain, Offering, Stage
from muccore.interfaces.filters import COPIES
from muccore.routing.handler import BARE, Handler
from muccore.xmpp import carbons, ns
from muccore.xmpp import jid as jids
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import toAttribute
from muccore.xmpp.specs import Spec

SENT_LIMIT: Final = 50
"""The messages of a client that are remembered, since their errors are copied as well."""


@implementer(IStreamFeature)
class CarbonsFeature:
    """Carbons from the beginning of a session (XEP-0386); the stream itself is offered nothing."""

    stage = Stage.BINDING
    order = 320
    nonzas: Mapping[tuple[str, str], Any] = {}

    def __init__(self, enable: Callable[[ISession], None]) -> None:
        self._enable = enable
        self.inline = InlineFeature(ns.CARBONS, {(ns.CARBONS, "enable"): self._begin})

    def offer(self, offering: Offering) -> Iterable[Element]:
        """See L{IStreamFeature.offer}."""
        return ()

    def _begin(self, session: ISession, element: Element) -> bytes:
        self._enable(session)
        return b""


class CarbonsHandler(Handler):
    """
    Switches carbons for clients, and copies messages.

    What rooms deliver to occupants is not seen here: each client that is in a room has it from the room (§6.1).
    """

    implements = (Spec(280, "Message Carbons", "1.0.1"),)
    features = (ns.CARBONS, ns.CARBONS_RULES)

    parent: IUserDomain

    def __init__(self) -> None:
        super().__init__()
        self.streamFeatures = (CarbonsFeature(self._enable),)
        # By the session that has sent them: id and address.
        self._sent: WeakKeyDictionary[ISession, deque[tuple[str, str]]] = WeakKeyDictionary()

    def onEnable(self, element: Element, to: JID) -> None:
        """Copy messages to the client from now on (§4); again, it is no error (§10.1)."""
        session = self.parent.sessions.byFullJID(jids.parse(element.attributes["from"]))
        if session is not None:
            self._enable(session)

    def _enable(self, session: ISession) -> None:
        if session.carbonsSince is None:
            session.carbonsSince = self.parent.now()
            for each in self.parent.sessions.forAccount(session.account.bare).values():
                if each.management is not None:
                    each.management.mark()

    def onDisable(self, element: Element, to: JID) -> None:
        """Copy no more messages to the client (§5)."""
        session = self.parent.sessions.byFullJID(jids.parse(element.attributes["from"]))
        if session is not None:
            session.carbonsSince = None

    def _others(self, account: str, but: Callable[[ISession], bool]) -> list[ISession]:
        """The sessions of an account that want copies, except some."""
        sessions = self.parent.sessions.forAccount(account).values()
        for each in sessions:
            if each.carbonsSince is not None:
                break
        else:
            return []
        return [each for each in sessions if each.carbonsSince is not None and not but(each)]

    def _copy(self, message: Element, direction: str, account: str, sessions: Iterable[ISession]) -> None:
        rendered = carbons.copyOf(message, direction, account)
        for session in sessions:
            session.deliver(rendered, toAttribute(session.fullText))

    # What the account sends

    def onSent(self, session: ISession, element: Element, to: JID) -> Element:
        """Copy a message to the sender's other clients (§8); one to themselves comes back to them anyway."""
        type = element.attributes.get("type")
        if type == "groupchat" or to.bare == session.account.bare:
            return element
        others = self._others(session.account.bare, lambda each: each is session)
        if not others or not carbons.isEligible(element):
            return element
        self._remember(session, element, to)
        if to.resource:
            own = {full for full, each in session.directed.items() if each.bare == to.bare}
            if own:
                # A private message in a room: for those who are in it under the same nick.
                others = [each for each in others if not own.isdisjoint(each.directed)]
                if others:
                    self._copy(_marked(element), "sent", session.account.bare, others)
                return element
        self._copy(element, "sent", session.account.bare, others)
        return element

    def _remember(self, session: ISession, element: Element, to: JID) -> None:
        id = element.attributes.get("id")
        if id is not None:
            self._sent.setdefault(session, deque(maxlen=SENT_LIMIT)).append((id, to.full))

    # What the account is sent

    def onReceived(self, element: Element, to: JID, recipients: tuple[ISession, ...]) -> Element:
        """Copy a message to those clients of the user who do not get it itself (§7)."""
        if element.attributes.get("type") == "groupchat" or not (recipients or mayBeStored(element, to)):
            # It is refused.
            return element
        sender = element.attributes["from"]
        others = self._others(to.bare, lambda each: each in recipients or each.fullText == sender)
        if others and self._isEligible(element, to):
            self._copy(element, "received", to.bare, others)
        return element

    def _isEligible(self, element: Element, to: JID) -> bool:
        if element.attributes.get("type") == "error":
            # §6.1: if it answers one that was eligible.
            session = self.parent.sessions.byFullJID(to)
            known = () if session is None else self._sent.get(session, ())
            return (element.attributes.get("id"), element.attributes["from"]) in known
        # Rooms send private messages to each client that is in them.
        return carbons.isEligible(element) and not carbons.isPrivateMessage(element)

    iqs = {("set", BARE, ns.CARBONS, "enable"): onEnable, ("set", BARE, ns.CARBONS, "disable"): onDisable}
    outbound = {("message", COPIES): onSent}
    inbound = {("message", COPIES): onReceived}


def _marked(message: Element) -> Element:
    """A private message with the mark of one (§6.1)."""
    if message.child("x", ns.MUC_USER) is not None:
        return message
    marked = message.copy()
    marked.add("x", ns.MUC_USER)
    return marked

