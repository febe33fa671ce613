# -*- test-case-name: tests.muc.extensions.test_explicitmentions -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Permissions of explicit mentions (XEP-0513 §3.6): who may mention whom in a room, and how often in one message. Mentions
that exceed them are taken out of messages (§7), which clients that follow the text would ignore.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from muccore.interfaces.handlers import BARE, IQTable
from muccore.muc.model.extension import ExtensionField, RoomExtension
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.privileges import Role
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import RoomSettings
from muccore.muc.model.sanitize import withAttributes
from muccore.muc.protocol import iq as iqs
from muccore.muc.protocol import owner
from muccore.muc.protocol.base import RoomHandler, dispatchToRoom
from muccore.muc.protocol.configurationform import formRow
from muccore.xmpp import dataforms, ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse
from muccore.xmpp.specs import Spec

_LOWEST_ROLES: Final = {"participants": Role.PARTICIPANT, "moderators": Role.MODERATOR}
_WHO: Final = (("participants", "Participants"), ("moderators", "Moderators only"), ("none", "Nobody"))
_GROUPS: Final = ("moderators", "participants", "visitors", "owner", "admin", "member", "none")


def _field(name: str, label: str, default: str) -> ExtensionField:
    var = f"mentions#{name}"
    return ExtensionField(f"mentions.{name}", var, "list-single", label, _WHO, infoVar=var, default=default)


_COUNT: Final = ExtensionField(
    "mentions.count",
    "mentions#count",
    "text-single",
    "How many mentions are allowed in a message",
    infoVar="mentions#count",
    bounds=(0, 100),
    default=10,
    parse=int,
)
_INDIVIDUAL: Final = _field("individual", "Who can mention individual users", "participants")
_CHANNEL: Final = _field("channel", "Who can mention all users of the room", "moderators")
_ASSOCIATIONS: Final = _field("associations", "Who can mention roles and affiliations", "moderators")
_HATS: Final = _field("hats", "Who can mention hats", "moderators")

_GROUP_FIELDS: Final = {
    f"{ns.MENTIONS}#channel": _CHANNEL,
    f"{ns.MENTIONS}#hats": _HATS,
    **{f"{ns.MENTIONS}#{group}": _ASSOCIATIONS for group in _GROUPS},
}
"""By the kind of a mention. Of others a room knows nothing, and lets them pass."""


class ExplicitMentions(RoomExtension):
    """The extension."""

    name = "mentions"
    implements = (
        Spec(513, "Explicit Mentions", "0.1.0", "Permissions in rooms, not for spaces and servers (§3.2.1)."),
    )
    features = (ns.MENTIONS, *(f"{ns.MENTIONS}#{kind}" for kind in ("channel", "associations", "hats")))
    fields = (_COUNT, _INDIVIDUAL, _CHANNEL, _ASSOCIATIONS, _HATS)
    messagePayloads = frozenset({ns.MENTIONS})

    def iqs(self) -> IQTable:
        """Answer requests for the permissions, and change them."""
        return {
            ("get", BARE, ns.MENTIONS, "query"): dispatchToRoom()(self._onGet),
            ("set", BARE, ns.MENTIONS, "query"): dispatchToRoom(changing=True)(self._onSet),
        }

    def beforeMessage(self, room: Room, occupant: Occupant, message: Element) -> Element | None:
        """Take out the mentions that are not allowed: all, if there are too many."""
        mentions = [child for child in message.childElements() if (child.uri, child.name) == (ns.MENTIONS, "mention")]
        if len(mentions) > _COUNT.get(room.settings):
            refused = mentions
        else:
            refused = [each for each in mentions if not _isAllowed(room, occupant, each)]
        if not refused:
            return None
        made = withAttributes(message, {})
        made.children = [child for child in made.children if not any(child is each for each in refused)]
        return made

    # Permissions

    def _onGet(self, handler: RoomHandler, iq: Element, to: JID, room: Room) -> Element:
        rows = [(_required(field), value) for field, value in self._rows(handler, room)]
        instructions = ["Who may mention whom, and how many mentions are allowed in a message."]
        query = Element((ns.MENTIONS, "query"))
        query.children.append(
            dataforms.form("form", ns.MENTIONS, rows, "Permissions for Explicit Mentions", instructions)
        )
        return query

    def _rows(self, handler: RoomHandler, room: Room) -> list[tuple[dataforms.Field, Any]]:
        return [formRow(row, room.settings, handler.options) for row in self.fields]

    def _onSet(self, handler: RoomHandler, iq: Element, to: JID, room: Room) -> Any:
        owner.check(room, parse(iq.attributes["from"]))
        if room.locked:
            raise StanzaError("not-allowed", text="The room has not been configured yet.")
        x = dataforms.find(next(iq.childElements()))
        if x is None:
            raise StanzaError("bad-request", text="The request must contain a form.")
        fields = [field for field, _ in self._rows(handler, room)]
        values = dataforms.submitted(x, ns.MENTIONS, fields)
        if values is None:
            return None
        settings = owner.settingsWith(room.settings, self.fields, values, handler.options)
        return iqs.configure(handler, iq, room, owner.ConfigureRequest(settings))

    def configured(self, room: Room, old: RoomSettings) -> None:
        """Tell everybody which permissions have changed."""
        changed = [row for row in self.fields if row.get(room.settings) != row.get(old)]
        if not changed:
            return
        rows = [(dataforms.Field(row.kind, row.var), row.valueIn(room.settings)) for row in changed]
        title = "Updated configuration for Explicit Mention Permissions"
        message = stanza("message", "groupchat", from_=room.jid.bare)
        message.children.append(dataforms.form("result", ns.MENTIONS, rows, title))
        room.broadcast(message)


def _required(field: dataforms.Field) -> dataforms.Field:
    return replace(field, required=True)


def _isAllowed(room: Room, occupant: Occupant, mention: Element) -> bool:
    kind = mention.get("mentions")
    row = _INDIVIDUAL if kind is None else _GROUP_FIELDS.get(kind)
    if row is None:
        return True
    lowest = _LOWEST_ROLES.get(row.get(room.settings))
    return lowest is not None and occupant.role >= lowest
