# -*- test-case-name: tests.muc.extensions.test_channelsearch -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Search of the service's public rooms (XEP-0433), in pages (XEP-0059).

The store compares the texts; L{RoomRanking} sorts what it finds. An item of a page is identified by what it is sorted
by, so that no state is kept between requests.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, DeferredLock

from muccore.interfaces import RoomSearch
from muccore.interfaces.handlers import HOST, IQTable
from muccore.muc.extensions.roomranking import SORT_BY_ADDRESS, SORT_BY_USERS, Found, RoomRanking
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.roomsettings import RoomSettings
from muccore.muc.protocol.base import RoomHandler
from muccore.muc.protocol.roomlist import checkMayList, requestList
from muccore.muc.service.storefailures import storeFailed
from muccore.xmpp import dataforms, ns, rsm
from muccore.xmpp.dataforms import Value
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import parse
from muccore.xmpp.specs import Spec

PAGE: Final = 50
"""Rooms in a page if the request has no limit."""

LIMIT: Final = 200
"""Maximum number of rooms in a page."""

QUERY_LIMIT: Final = 256
"""Characters of a query."""

TERMS: Final = 8
"""Search terms of a query."""

WAITING: Final = 50
"""Searches of all users that may wait for the one that is made."""

RETRY_AFTER: Final = 5
"""When a search that was refused may be tried again, in seconds."""

LANGUAGE: Final = "{urn:x-muccore:channel-search}language"
"""A field of our own: the language of the rooms."""

_TYPE: Final = "xep-0045"

_Q: Final = dataforms.Field("text-single", "q", "Search for")
_ALL: Final = dataforms.Field("boolean", "all", "Return all rooms (without search terms)")
_IN_NAME: Final = dataforms.Field("boolean", "sinname", "Search in name")
_IN_DESCRIPTION: Final = dataforms.Field("boolean", "sindescription", "Search in description")
_IN_ADDRESS: Final = dataforms.Field("boolean", "sinaddress", "Search in address")
_MIN_USERS: Final = dataforms.Field("text-single", "min_users", "Minimum number of users")
_LANGUAGE: Final = dataforms.Field("text-single", LANGUAGE, "Language")
_TYPES: Final = dataforms.Field(
    "list-multi", "types", "Service types", ((_TYPE, "XEP-0045 Multi-User Chat rooms"),), open=True
)
_KEY: Final = dataforms.Field(
    "list-single",
    "key",
    "Sort results by",
    ((SORT_BY_USERS, "Number of online users"), (SORT_BY_ADDRESS, "Address")),
    open=True,
)
_FIELDS: Final[tuple[tuple[dataforms.Field, Value], ...]] = (
    (_Q, ""),
    (_ALL, False),
    (_IN_NAME, True),
    (_IN_DESCRIPTION, True),
    (_IN_ADDRESS, True),
    (_MIN_USERS, "0"),
    (_LANGUAGE, ""),
    (_TYPES, (_TYPE,)),
    (_KEY, SORT_BY_USERS),
)


class ChannelSearch(RoomExtension):
    """The extension. Searches are made one by one, so that other requests to the store wait for one at most."""

    name = "search"
    implements = (Spec(433, "Extended Channel Search", "0.1.0", "Of the service's own public rooms."),)
    serviceFeatures = (ns.CHANNEL_SEARCH,)

    def start(self) -> None:
        """Begin."""
        self._ranking = RoomRanking(self.service.rooms)
        self._turn = DeferredLock()

    def iqs(self) -> IQTable:
        """Answer requests to the service."""
        return {("get", HOST, ns.CHANNEL_SEARCH, "search"): self._answer}

    def _answer(self, handler: RoomHandler, iq: Element, to: object) -> Element | Deferred[Any]:
        query = next(iq.childElements())
        checkMayList(self.service.rooms, parse(iq.attributes["from"]))
        x = dataforms.find(query)
        if x is None:
            answer = Element((ns.CHANNEL_SEARCH, "search"))
            answer.children.append(dataforms.form("form", ns.CHANNEL_SEARCH_PARAMS, _FIELDS))
            return answer
        values = _submitted(x)
        search = _parseSearch(values)
        minUsers = _parseNumber(cast(str, values["min_users"]))
        page = rsm.parse(query)
        requested = page or rsm.PageRequest()
        if requested.index is not None:
            raise StanzaError("feature-not-implemented", text="Pages of a result cannot be requested by index.")
        if _TYPE not in cast("tuple[str, ...]", values["types"]):
            return self._result(Found(), page is not None)
        limit = PAGE if requested.limit is None else min(requested.limit, LIMIT)
        key = cast(str, values["key"])
        place = self._ranking.parse(key, requested.after), self._ranking.parse(key, requested.before)
        finding = self._inTurn(parse(iq.attributes["from"]).bare, key, search, minUsers, *place, limit)
        return finding.addCallbacks(self._result, storeFailed, callbackArgs=(page is not None,))

    def _inTurn(self, account: str, *search: Any) -> Deferred[Found]:
        if len(self._turn.waiting) >= WAITING:
            raise _rateLimit()

        def find() -> Deferred[Found]:
            return self._turn.run(self._ranking.find, *search)

        try:
            return requestList(self.service.rooms, account, find)
        except StanzaError:
            raise _rateLimit() from None

    def _result(self, found: Found, paged: bool) -> Element:
        answer = Element((ns.CHANNEL_SEARCH, "result"))
        for address, stored in found.rooms:
            self._addItem(answer, address, RoomSettings.fromMapping(stored, self.service.options.defaults))
        if paged or len(found.rooms) < found.count:
            answer.children.append(rsm.render(found.first, found.last, found.index, found.count))
        return answer

    def _addItem(self, answer: Element, address: str, settings: RoomSettings) -> None:
        item = answer.add("item", address=address)
        item.add("name", text=settings.name or address.partition("@")[0])
        if settings.description:
            item.add("description", text=settings.description)
        if settings.language:
            item.add("language", text=settings.language)
        room = self.service.rooms.live.get(address)
        item.add("nusers", text=str(0 if room is None else len(room.occupants)))
        item.add("service-type", text=_TYPE)
        if not settings.membersOnly and not settings.password:
            # Left out otherwise: some clients take any such element for "true", as the example of §4.2.2.1 does.
            item.add("is-open", text="true")
        anonymity = f"{{{ns.CHANNEL_SEARCH_ANONYMITY}}}none" if settings.nonAnonymous else "muc_semianonymous"
        item.add("anonymity-mode", text=anonymity)


def _submitted(x: Element) -> dict[str, Value]:
    """The values of the form, with the defaults of those that are not submitted (§5)."""
    values = dataforms.submitted(x, ns.CHANNEL_SEARCH_PARAMS, [field for field, _ in _FIELDS])
    if values is None:
        raise StanzaError("bad-request", text="The form must be submitted.")
    return {field.var: default for field, default in _FIELDS if field.var is not None} | dict(values)


def _parseSearch(values: dict[str, Value]) -> RoomSearch:
    """
    Make the search for the store.

    @raise StanzaError: see XEP-0433 §4.2.2.2 to §4.2.2.7.
    """
    if values["key"] not in (SORT_BY_USERS, SORT_BY_ADDRESS):
        raise _refusal("feature-not-implemented", "modify", "invalid-sort-key", "There is no such order.")
    q = cast(str, values["q"])
    wanted = [bool(values[field.var or ""]) for field in (_IN_ADDRESS, _IN_NAME, _IN_DESCRIPTION)]
    inAddress, inName, inDescription = wanted
    if values["all"] and q:
        raise _conflict(_ALL, _Q)
    if q and not any(wanted):
        raise _conflict(_Q, _IN_NAME, _IN_DESCRIPTION, _IN_ADDRESS)
    if not q and not values["all"]:
        text = f'Fill in "{_Q.label}", or choose "{_ALL.label}".'
        raise _refusal("bad-request", "cancel", "no-search-conditions", text)
    language = cast(str, values[LANGUAGE]).strip()
    return RoomSearch(_terms(q) if q else (), inAddress, inName, inDescription, language)


def _terms(q: str) -> Sequence[str]:
    """@raise StanzaError: C{invalid-search-terms} if there are none or too many, or if they are too long."""
    found = [term for term in dict.fromkeys(q.split()) if any(unicodedata.category(each)[0] in "LNS" for each in term)]
    if not found:
        text = "A search term needs a letter, a digit or a symbol."
    elif len(q) > QUERY_LIMIT or len(found) > TERMS:
        text = f"At most {TERMS} search terms of {QUERY_LIMIT} characters together are allowed."
    else:
        return found
    raise _refusal("bad-request", "modify", "invalid-search-terms", text)


def _parseNumber(text: str) -> int:
    text = text.strip() or "0"
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise StanzaError("not-acceptable", text=f"{_MIN_USERS.var}: not a number")
    return int(text)


def _refusal(condition: str, type: str, name: str, text: str) -> StanzaError:
    return StanzaError(condition, type, text, Element((ns.CHANNEL_SEARCH_ERRORS, name)))


def _conflict(*fields: dataforms.Field) -> StanzaError:
    labels = ", ".join(f'"{field.label}"' for field in fields)
    error = _refusal("bad-request", "modify", "conflicting-fields", f"These cannot be combined so: {labels}.")
    assert error.appCondition is not None
    for field in fields:
        error.appCondition.add("var", text=field.var or "")
    return error


def _rateLimit() -> StanzaError:
    error = _refusal("resource-constraint", "wait", "rate-limit", "Too many searches are still being answered.")
    assert error.appCondition is not None
    error.appCondition.attributes["retry-after"] = str(RETRY_AFTER)
    return error
