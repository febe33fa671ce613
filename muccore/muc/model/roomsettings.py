# -*- test-case-name: tests.muc.model.test_roomsettings -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A room's configuration, and one table that says of every setting how it stands in the form, what it does to the
room's features and what occupants hear when it changes (XEP-0045 §10.1.3, §10.2, §16.5.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final


@dataclass(frozen=True, kw_only=True)
class RoomSettings:
    """
    One configuration of a room. Values are what JSON can hold, since stores keep them so. What an operator can give a
    default has it in the configuration's table; the other defaults stand here.

    @ivar name: natural-language name.
    @ivar description: short description.
    @ivar language: natural language of the discussion (an RFC 5646 tag).
    @ivar persistent: stays when the last occupant leaves.
    @ivar public: is listed.
    @ivar password: needed to enter; C{""} for none.
    @ivar membersOnly: only members may enter.
    @ivar moderated: who is not affiliated enters without voice.
    @ivar nonAnonymous: everybody may see real JIDs; otherwise moderators only.
    @ivar changeSubject: participants may change the subject; otherwise moderators only.
    @ivar allowInvites: members of a members-only room may invite, which makes the invited one a member.
    @ivar allowPM: who may send private messages: C{anyone}, C{participants}, C{moderators} or C{none}.
    @ivar logged: what is said is logged for the public; who enters is warned.
    @ivar lockNicks: who has reserved a nick here can use no other one here.
    @ivar maxUsers: how many occupants may be in; 0 for no limit.
    @ivar historyLength: how many messages who enters is sent at the most.
    """

    name: str = ""
    description: str = ""
    language: str = ""
    persistent: bool
    public: bool
    password: str = field(default="", repr=False)
    membersOnly: bool
    moderated: bool
    nonAnonymous: bool
    changeSubject: bool = False
    allowInvites: bool = False
    allowPM: str = "anyone"
    logged: bool = False
    lockNicks: bool = False
    maxUsers: int = 0
    historyLength: int

    def toMapping(self) -> dict[str, Any]:
        """For a store."""
        return asdict(self)

    def stored(self) -> dict[str, Any]:
        """
        What stands of it in a L{RoomRecord<muccore.interfaces.RoomRecord>} or
        L{RoomChange<muccore.interfaces.RoomChange>}, by attribute.
        """
        return {
            "settings": self.toMapping(),
            "name": self.name,
            "public": self.public,
            "temporary": not self.persistent,
        }

    @classmethod
    def fromMapping(cls, stored: Mapping[str, Any], defaults: RoomSettings) -> RoomSettings:
        """
        From a store. What an older program did not write has its default; what a newer one wrote in addition is left
        alone.
        """
        known = {f.name for f in fields(cls)}
        values = {name: value for name, value in stored.items() if name in known}
        return replace(defaults, **values)


@dataclass(frozen=True)
class ConfigField:
    """
    One row of the configuration form.

    @ivar setting: the attribute of L{RoomSettings}.
    @ivar var: the form field's name.
    @ivar kind: its form type.
    @ivar label: its label.
    @ivar options: for lists: value and label of each choice.
    @ivar trueValue: for C{list-single} fields over a boolean setting: the value that means true.
    @ivar hiddenWhenOff: the field is taken when it is submitted, but not offered while the setting is off.
    """

    setting: str
    var: str
    kind: str
    label: str
    options: tuple[tuple[str, str], ...] = ()
    trueValue: str = ""
    hiddenWhenOff: bool = False


FIELDS: Final[tuple[ConfigField, ...]] = (
    ConfigField("name", "muc#roomconfig_roomname", "text-single", "Room name"),
    ConfigField("description", "muc#roomconfig_roomdesc", "text-single", "Room description"),
    ConfigField("language", "muc#roomconfig_lang", "text-single", "Room language"),
    ConfigField(
        "persistent", "muc#roomconfig_persistentroom", "boolean", "Keep the room when the last occupant leaves"
    ),
    ConfigField("public", "muc#roomconfig_publicroom", "boolean", "List the room publicly"),
    ConfigField("membersOnly", "muc#roomconfig_membersonly", "boolean", "Make the room members-only"),
    ConfigField(
        "allowInvites", "muc#roomconfig_allowinvites", "boolean", "Allow members to invite to a members-only room"
    ),
    ConfigField("moderated", "muc#roomconfig_moderatedroom", "boolean", "Only occupants with voice may speak"),
    ConfigField(
        "nonAnonymous",
        "muc#roomconfig_whois",
        "list-single",
        "Who may see the real addresses of occupants",
        (("moderators", "Moderators only"), ("anyone", "Anyone")),
        "anyone",
    ),
    ConfigField("changeSubject", "muc#roomconfig_changesubject", "boolean", "Allow participants to change the subject"),
    ConfigField(
        "allowPM",
        "muc#roomconfig_allowpm",
        "list-single",
        "Who may send private messages",
        (
            ("anyone", "Anyone"),
            ("participants", "Participants and moderators"),
            ("moderators", "Moderators only"),
            ("none", "Nobody"),
        ),
    ),
    ConfigField("maxUsers", "muc#roomconfig_maxusers", "list-single", "Maximum number of occupants"),
    ConfigField("historyLength", "muc#maxhistoryfetch", "text-single", "Maximum number of history messages"),
    ConfigField(
        "lockNicks", "x-muc#roomconfig_reservednick", "boolean", "Registered users must use their reserved nickname"
    ),
    ConfigField(
        "logged",
        "muc#roomconfig_enablelogging",
        "boolean",
        "Warn new occupants that conversations are logged publicly",
        # There is no log of ours. Clients check the box of every new room if they see it, and everybody would be
        # warned of nothing.
        hiddenWhenOff=True,
    ),
)
"""
The settings that map to one form field each. The password has two (C{passwordprotectedroom} and C{roomsecret}), and
the lists of owners and admins are affiliations: L{muccore.muc.protocol.owner} adds these.
"""

MAX_USERS_CHOICES: Final = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""What the form offers as limits, besides none and the room's own."""

_FEATURES: Final[tuple[tuple[str, str, str], ...]] = (
    ("password", "muc_passwordprotected", "muc_unsecured"),
    ("public", "muc_public", "muc_hidden"),
    ("persistent", "muc_persistent", "muc_temporary"),
    ("membersOnly", "muc_membersonly", "muc_open"),
    ("moderated", "muc_moderated", "muc_unmoderated"),
    ("nonAnonymous", "muc_nonanonymous", "muc_semianonymous"),
)


def features(settings: RoomSettings) -> list[str]:
    """The service discovery features that tell a room's type (XEP-0045 §16.3)."""
    return [yes if getattr(settings, name) else no for name, yes, no in _FEATURES]


def statusCodes(old: RoomSettings, new: RoomSettings) -> list[int]:
    """
    The status codes that tell occupants of a change of configuration (XEP-0045 §10.2.1): 170 to 173 for what
    concerns privacy, 104 for anything else.
    """
    codes = []
    if new.logged != old.logged:
        codes.append(170 if new.logged else 171)
    if new.nonAnonymous != old.nonAnonymous:
        codes.append(172 if new.nonAnonymous else 173)
    if replace(new, logged=old.logged, nonAnonymous=old.nonAnonymous) != old:
        codes.append(104)
    return codes
