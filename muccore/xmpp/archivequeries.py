# -*- test-case-name: tests.xmpp.test_archivequeries -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Queries of message archives as stanzas (XEP-0313, with full-text search by XEP-0431): parsing them, and building the
results. The same for archives of rooms and of accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from muccore.interfaces import IDS_LIMIT, ArchiveItem, ArchiveMetadata, ArchivePage, ArchiveQuery
from muccore.xmpp import dataforms, ns, rsm
from muccore.xmpp.datetimes import parseStamp, stamp
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, escapeAttribute

EXTENDED: Final = f"{ns.MAM}#extended"
FEATURES: Final = (ns.MAM, EXTENDED, ns.FULL_TEXT)

GROUPCHAT: Final = f"{ns.MAM}#groupchat-field"
"""The feature of archives that know the field C{include-groupchat}, whether they have such messages or not (§7)."""

MICROSECONDS: Final = 1_000_000
"""Units of L{ArchiveItem.time} in a second."""

PAGE: Final = 50
"""Items on a page if the query has no limit."""

LIMIT: Final = 250
"""Maximum number of items on a page."""

SIZE: Final = 512 * 1024
"""
Bytes of stanzas on a page, unless a single one is larger: several pages are well below the outbox limit of a client,
who would be disconnected and ask for the same again.
"""

_FULL_TEXT: Final = f"{{{ns.FULL_TEXT}}}fulltext"
_FIELDS: Final = (
    dataforms.Field("jid-single", "with", "Sender"),
    dataforms.Field("text-single", "start", "Not before this time"),
    dataforms.Field("text-single", "end", "Not after this time"),
    dataforms.Field("text-single", "before-id", "Before this message"),
    dataforms.Field("text-single", "after-id", "After this message"),
    dataforms.Field("list-multi", "ids", "These messages", open=True),
    dataforms.Field("text-single", _FULL_TEXT, "Words that it contains"),
)
_GROUPCHAT_FIELD: Final = dataforms.Field("boolean", "include-groupchat", "Messages of rooms, too")
_TEXT_LIMIT: Final = 1024


@dataclass(frozen=True)
class ArchiveRequest:
    """
    A parsed query.

    @ivar queryId: what the client recognises the results by; C{None} if it gave nothing.
    @ivar flipped: whether the newest item of the page is sent first (XEP-0313 §4.4).
    @ivar sender: the address in the field C{with}; C{None} for all.
    @ivar query: the query, without that.
    """

    queryId: str | None
    flipped: bool
    sender: JID | None
    query: ArchiveQuery


def _fields(ofAccount: bool) -> tuple[dataforms.Field, ...]:
    return (*_FIELDS, _GROUPCHAT_FIELD) if ofAccount else _FIELDS


def form(ofAccount: bool = False) -> Element:
    """
    The answer to a request for the fields of queries (XEP-0313 §4.1.5).

    @param ofAccount: whether the archive is that of an account, which knows C{include-groupchat} (§4.1.4).
    """
    made = Element((ns.MAM, "query"))
    x = dataforms.form("form", ns.MAM, [(field, None) for field in _fields(ofAccount)])
    for field in x.childElements():
        if field.get("var") == "ids":
            # Any id may be given (XEP-0122).
            field.children.insert(0, Element((ns.DATA_VALIDATE, "validate"), None, {"datatype": "xs:string"}))
            next(field.childElements()).add("open")
    made.children.append(x)
    return made


def parse(query: Element, ofAccount: bool = False) -> ArchiveRequest:
    """
    Parse a query. An account's archive has no messages of rooms, so its C{include-groupchat} makes no difference.

    @param ofAccount: see L{form}.
    @raise StanzaError: C{feature-not-implemented} for a field that is not known (XEP-0313 §4.1.5) or a page by index,
        C{item-not-found} for a node, C{not-acceptable} or C{bad-request} for a value that is invalid.
    """
    if query.get("node"):
        raise StanzaError("item-not-found", text="There are no nodes in this archive.")
    values = _submitted(query, _fields(ofAccount))
    page = rsm.parse(query) or rsm.PageRequest()
    if page.index is not None:
        raise StanzaError("feature-not-implemented", text="Pages of an archive cannot be requested by index.")
    text = values.get(_FULL_TEXT)
    ids = values.get("ids")
    return ArchiveRequest(
        query.get("queryid"),
        query.child("flip-page", ns.MAM) is not None,
        values.get("with"),
        ArchiveQuery(
            start=_time("start", values),
            end=_time("end", values),
            text=text or None,
            ids=ids or None,
            afterId=values.get("after-id") or None,
            beforeId=values.get("before-id") or None,
            limit=PAGE if page.limit is None else min(page.limit, LIMIT),
            after=page.after,
            before=page.before,
            # XEP-0059 §2.7: with a limit of 0, the count is all that is asked for.
            counted=page.limit == 0,
        ),
    )


def _submitted(query: Element, fields: Sequence[dataforms.Field]) -> dict[str, Any]:
    x = dataforms.find(query)
    if x is None:
        return {}
    names = {field.var for field in fields}
    for field in x.childElements():
        name = field.get("var")
        if field.name == "field" and name not in names and name != dataforms.FORM_TYPE:
            raise StanzaError("feature-not-implemented", text=f"Archives have no field {(name or '')[:64]!r}.")
    found = dataforms.submitted(x, ns.MAM, fields)
    if found is None:
        raise StanzaError("bad-request", text="A query cannot be cancelled.")
    values: dict[str, Any] = dict(found)
    if len(values.get("ids") or ()) > IDS_LIMIT:
        raise StanzaError("policy-violation", text=f"ids: more than {IDS_LIMIT}")
    if len(values.get(_FULL_TEXT) or "") > _TEXT_LIMIT:
        raise StanzaError("policy-violation", text=f"{_FULL_TEXT}: longer than {_TEXT_LIMIT} characters")
    return values


def _time(name: str, values: dict[str, Any]) -> int | None:
    text = values.get(name)
    if not text:
        return None
    try:
        return round(parseStamp(text.strip()) * MICROSECONDS)
    except (ValueError, OverflowError):
        raise StanzaError("bad-request", text=f"{name}: not a time such as 2002-10-13T23:58:37Z") from None


def result(archive: str, request: ArchiveRequest, item: ArchiveItem, extra: bytes = b"") -> Rendered:
    """
    The message with one item (XEP-0313 §4.2, XEP-0297).

    @param archive: the address of the archive.
    @param extra: a further child of the forwarded message, rendered.
    """
    queryId = "" if request.queryId is None else f" queryid='{escapeAttribute(request.queryId)}'"
    head = (
        f" from='{escapeAttribute(archive)}'>"
        f"<result xmlns='{ns.MAM}'{queryId} id='{escapeAttribute(item.id)}'>"
        f"<forwarded xmlns='{ns.FORWARD}'><delay xmlns='{ns.DELAY}' stamp='{stampOf(item.time)}'/>"
    )
    stanza = item.stanza.extended(extra) if extra else item.stanza
    namespace = f" xmlns='{ns.CLIENT}'".encode()
    return Rendered(
        b"<message",
        b"".join((head.encode(), stanza.head, namespace, stanza.tail, b"</forwarded></result></message>")),
    )


def withinSize(page: ArchivePage, query: ArchiveQuery) -> ArchivePage:
    """
    Leave out of a page what exceeds L{SIZE}, at the end at which the next page begins (XEP-0313 §4.3: a server may
    return fewer items than were asked for).
    """
    backwards = query.before is not None
    left, number = SIZE, 0
    for item in reversed(page.items) if backwards else page.items:
        left -= len(item.stanza.tail)
        if left < 0 and number:
            break
        number += 1
    omitted = len(page.items) - number
    if not omitted:
        return page
    if not backwards:
        return replace(page, items=page.items[:number], complete=False)
    index = None if page.index is None else page.index + omitted
    return replace(page, items=page.items[omitted:], complete=False, index=index)


def fin(page: ArchivePage) -> Element:
    """The end of the results (XEP-0313 §4.3)."""
    made = Element((ns.MAM, "fin"))
    if page.complete:
        made.attributes["complete"] = "true"
    items = page.items
    first, last = (items[0].id, items[-1].id) if items else (None, None)
    made.children.append(rsm.render(first, last, page.index, page.count))
    return made


def metadata(ends: ArchiveMetadata | None) -> Element:
    """The answer to a request for the ends of an archive (XEP-0313 §5); C{None}: it is empty."""
    made = Element((ns.MAM, "metadata"))
    if ends is not None:
        made.add("start", id=ends.firstId, timestamp=stampOf(ends.firstTime))
        made.add("end", id=ends.lastId, timestamp=stampOf(ends.lastTime))
    return made


def stampOf(time: int) -> str:
    """Format a time in microseconds; without a fraction if there is none."""
    seconds, fraction = divmod(time, MICROSECONDS)
    return stamp(seconds) if not fraction else f"{stamp(seconds)[:-1]}.{fraction:06d}Z"
