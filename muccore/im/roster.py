# -*- test-case-name: tests.im.test_roster -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The roster of an account (RFC 6121 §2): requests of its owner, and pushes to those who are interested."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.words.xish.domish import SerializedXML
from zope.interface import implementer

from muccore.im.accountroster import AccountRoster, RosterChanges, sizeOf
from muccore.im.presence import PresenceHandler
from muccore.im.rosters import PlannedChange, Rosters
from muccore.im.subscriptionstates import stateOf
from muccore.interfaces import ISession, IStreamFeature, IUserDomain, Offering, RosterItem, Stage
from muccore.interfaces.handlers import isFromAccount
from muccore.net.slices import Slices, Steps
from muccore.routing.handler import ANSWERED, BARE, Handler, answersAnyone
from muccore.xmpp import jid as jids
from muccore.xmpp import ns
from muccore.xmpp.element import Element, reply, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.rendering import Rendered, render, toAttribute
from muccore.xmpp.specs import Spec

TEXT_LIMIT: Final = 1023
"""Maximum length of names and groups, in bytes."""

GROUPS_LIMIT: Final = 50
"""Maximum number of groups of a contact."""

_ITEM: Final = 10
"""The cost of rendering an item, in a slice."""

CONTACT_SIZE: Final = 512
"""Bytes that the contacts of a full roster may have on average: the whole is rendered for each client."""


@implementer(IStreamFeature)
class RosterFeature:
    """A stream feature that only says what the server does with rosters."""

    stage = Stage.BINDING
    nonzas: dict[tuple[str | None, str], object] = {}

    def __init__(self, order: int, uri: str, name: str) -> None:
        self.order = order
        self._element = (uri, name)

    def offer(self, offering: Offering) -> Iterable[Element]:
        """See L{IStreamFeature.offer}."""
        return [Element(self._element)]


class RosterHandler(Handler):
    """Answers an account's owner about its roster, changes it, and pushes changes to those who have requested it."""

    implements = (
        Spec(6121, "XMPP: Instant Messaging and Presence", note="Rosters with versions (§2).", series="RFC"),
        Spec(237, "Roster Versioning", "1.3", "Part of RFC 6121."),
    )
    streamFeatures = (RosterFeature(50, ns.ROSTER_VERSIONING, "ver"),)

    parent: IUserDomain

    def __init__(self, rosters: Rosters, presence: PresenceHandler, limit: int) -> None:
        """@param limit: the maximum of contacts of an account."""
        super().__init__()
        self.limit = limit
        self._rosters = rosters
        self._presence = presence
        self._slices: Slices | None = None

    @answersAnyone
    def onGet(self, element: Element, to: JID) -> object:
        """Return the roster, or what has changed since a version (RFC 6121 §2.1.4, §2.6.3)."""
        _checkOwner(element, to)
        query = next(element.childElements())
        known = query.attributes.get("ver")

        def answer(roster: AccountRoster, items: str | None, changes: RosterChanges | None) -> object:
            session = self.parent.sessions.byFullJID(jids.parse(element.attributes["from"]))
            if session is None:
                return ANSWERED
            session.interested = True
            result = reply(element, "result")
            if items is not None:
                query = result.add("query", ns.ROSTER)
                if known is not None:
                    query.attributes["ver"] = roster.version
                query.children.append(SerializedXML(items))
            # At once, as pushes are, so that none precedes it.
            session.deliver(Rendered.of(result).withoutElement(), toAttribute(session.fullText))
            for version, contact, item in changes or ():
                self._push([session], to.bare, version, contact, item)
            return ANSWERED

        async def plan(roster: AccountRoster) -> PlannedChange:
            changes = None if known is None else roster.changesSince(known)
            items = await self._render(roster) if changes is None else None
            return PlannedChange({}, lambda: answer(roster, items, changes))

        return self._rosters.change(to.bare, plan, element)

    async def _render(self, roster: AccountRoster) -> str:
        """Render the items of a roster, in slices if they are many."""
        rendered: list[bytes] = []

        def steps() -> Steps:
            for contact, item in list(roster.listed()):
                yield _ITEM
                rendered.append(render(_elementOf(contact, item), ns.ROSTER))

        if self._slices is None:
            self._slices = Slices(self.parent.clock)
        done = self._slices.run(steps())
        if done is not None:
            await done
        return b"".join(rendered).decode()

    @answersAnyone
    def onSet(self, element: Element, to: JID) -> object:
        """Add, update or remove a contact (RFC 6121 §2.3 to §2.5)."""
        _checkOwner(element, to)
        contact, name, groups = _parse(next(element.childElements()), to)

        def plan(roster: AccountRoster) -> PlannedChange:
            old = roster.item(contact)
            if name is None:
                if not old.listed:
                    raise StanzaError("item-not-found")
                return PlannedChange({contact: None}, lambda: self._removed(element, to, roster, contact, old))
            item = RosterItem(name, groups, old.subscription, old.ask, old.approved, old.request)
            self.checkLimit(roster, contact, item)

            def announce() -> object:
                self.push(to.bare, roster, contact)
                self.reply(element)
                return ANSWERED

            return PlannedChange({contact: item}, announce)

        return self._rosters.change(to.bare, plan, element)

    def _removed(self, element: Element, to: JID, roster: AccountRoster, contact: str, old: RosterItem) -> object:
        self.push(to.bare, roster, contact)
        self.reply(element)
        # §2.5.2
        state = stateOf(old)
        if state.hasTo or state.pendingOut:
            self.parent.send(stanza("presence", "unsubscribe", from_=to.bare, to=contact))
        if state.hasFrom:
            self._presence.sendUnavailable(to.bare, contact)
        if state.hasFrom or state.pendingIn:
            self.parent.send(stanza("presence", "unsubscribed", from_=to.bare, to=contact))
        return ANSWERED

    def shutDown(self, final: bool) -> Deferred[None]:
        """Wait for changes that are being made."""
        if self._slices is not None:
            self._slices.finish()
        return Deferred.fromCoroutine(self._rosters.finished())

    def checkLimit(self, roster: AccountRoster, contact: str, item: RosterItem) -> None:
        """@raise StanzaError: C{resource-constraint} if there is no place for another contact, or a larger one."""
        old = roster.item(contact)
        if not old.listed and sum(each.listed for each in roster.items.values()) >= self.limit:
            raise StanzaError("resource-constraint", text=f"A roster can have {self.limit} contacts.")
        growth, most = sizeOf(contact, item) - sizeOf(contact, old), self.limit * CONTACT_SIZE
        if growth > 0 and roster.size + growth > most:
            text = f"The addresses, names and groups in a roster can have {most} bytes together."
            raise StanzaError("resource-constraint", text=text)

    def push(self, account: str, roster: AccountRoster, contact: str) -> None:
        """Push the item of a contact to those resources that have requested the roster (RFC 6121 §2.1.6)."""
        sessions = [each for each in self.parent.sessions.forAccount(account).values() if each.interested]
        item = roster.items.get(contact)
        self._push(sessions, account, roster.version, contact, item if item is not None and item.listed else None)

    def _push(
        self, sessions: Iterable[ISession], account: str, version: str, contact: str, item: RosterItem | None
    ) -> None:
        push = stanza("iq", "set", from_=account, id=secrets.token_hex(6))
        query = push.add("query", ns.ROSTER, ver=version)
        query.children.append(_elementOf(contact, item))
        rendered = Rendered.of(push)
        for session in sessions:
            session.deliver(rendered, toAttribute(session.fullText))

    iqs = {("get", BARE, ns.ROSTER, "query"): onGet, ("set", BARE, ns.ROSTER, "query"): onSet}


def _checkOwner(element: Element, account: JID) -> None:
    """@raise StanzaError: C{forbidden} for others, whether there is such an account or not (RFC 6121 §2.1.5)."""
    if not isFromAccount(element, account):
        raise StanzaError("forbidden")


def _elementOf(contact: str, item: RosterItem | None) -> Element:
    """Make the element of an item (RFC 6121 §2.1.2); C{None}: of a contact that was removed."""
    made = Element((ns.ROSTER, "item"), None, {"jid": contact})
    attributes = made.attributes
    if item is None:
        attributes["subscription"] = "remove"
        return made
    if item.name:
        attributes["name"] = item.name
    attributes["subscription"] = item.subscription
    if item.ask:
        attributes["ask"] = "subscribe"
    if item.approved:
        attributes["approved"] = "true"
    for group in item.groups:
        made.add("group", ns.ROSTER, group)
    return made


def _parse(query: Element, account: JID) -> tuple[str, str | None, tuple[str, ...]]:
    """
    Parse a roster set (RFC 6121 §2.1.5, §2.3.3).

    @return: contact, name and groups; for a removal, the name is C{None}.
    @raise StanzaError: what the text says.
    """
    items = [child for child in query.childElements() if (child.uri, child.name) == (ns.ROSTER, "item")]
    if len(items) != 1:
        raise StanzaError("bad-request", text="A roster set must have one item.")
    [item] = items
    address = item.attributes.get("jid")
    if address is None:
        raise StanzaError("bad-request", text="The item has no address.")
    try:
        contact = jids.parse(address)
    except InvalidJID as e:
        raise StanzaError("jid-malformed", text=str(e)) from None
    if contact.bare == account.bare:
        raise StanzaError("not-allowed", text="An account cannot be its own contact.")
    if item.attributes.get("subscription") == "remove":
        return contact.full, None, ()
    name = item.attributes.get("name", "")
    groups = [each.text() for each in item.childElements() if (each.uri, each.name) == (ns.ROSTER, "group")]
    if len(set(groups)) < len(groups):
        raise StanzaError("bad-request", text="A group is there twice.")
    if not all(groups):
        raise StanzaError("not-acceptable", text="A group has no name.")
    if len(groups) > GROUPS_LIMIT or any(len(each.encode()) > TEXT_LIMIT for each in (name, *groups)):
        raise StanzaError("not-acceptable", text=f"A name is longer than {TEXT_LIMIT} bytes, or the groups too many.")
    return contact.full, name, tuple(sorted(groups))

