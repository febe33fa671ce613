# -*- test-case-name: tests.muc.model.test_roomsettings -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A room's configuration, and one table that maps every setting to its field in the configuration form and in disco
(XEP-0045 §10.1.3, §10.2, §16.5.3, §16.5.4); its disco features and its status codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

from muccore.muc.model.privileges import Role

NO_LIMIT: Final = "none"
"""The value of C{muc#roomconfig_maxusers} that stands for no limit."""

OPEN: Final = "open"
"""The value of the setting C{registration} that makes strangers members where that gives them nothing else."""

ALWAYS: Final = "always"
"""The value that does so in moderated rooms, too, where members have voice."""

APPROVAL: Final = "approval"
"""The value that lets strangers ask an admin."""

ROLES: Final = tuple(role.xmlName for role in (Role.MODERATOR, Role.PARTICIPANT, Role.VISITOR))
"""The roles of occupants, as values of fields."""

ABSENT: Final = Role.NONE.xmlName
"""The value of C{muc#roomconfig_presencebroadcast} that stands for absent users."""

EXTENSION_PREFIX: Final = "extension:"
"""What precedes the name of an extension, under which its state is stored."""


@dataclass(frozen=True, kw_only=True)
class RoomSettings:
    """
    The configuration of a room. Values are JSON values, which stores can keep. Defaults that operators can set are in
    the configuration's table; the others are here.

    @ivar name: natural-language name.
    @ivar description: short description.
    @ivar language: natural language of the discussion (an RFC 5646 tag).
    @ivar pubsubNode: the XMPP URI of a publish-subscribe node that belongs to the room, or C{""}.
    @ivar contacts: the JIDs to contact about the room, shown to everybody.
    @ivar persistent: stays when the last occupant leaves.
    @ivar public: is listed.
    @ivar publicOccupants: everybody may list the occupants of a room that everybody can find and enter.
    @ivar password: required to enter; C{""} for none.
    @ivar membersOnly: only members may enter.
    @ivar moderated: unaffiliated users enter without voice.
    @ivar nonAnonymous: everybody may see real JIDs; otherwise moderators only.
    @ivar changeSubject: participants may change the subject; otherwise moderators only.
    @ivar allowInvites: members of a members-only room may invite, which makes the invitee a member.
    @ivar allowPM: who may send private messages: C{anyone}, C{participants}, C{moderators} or C{none}.
    @ivar memberListRoles: the roles that may get the list of members of a non-anonymous room.
    @ivar presenceBroadcast: the roles whose presence others get; C{none}: absent users with an affiliation are shown.
    @ivar logged: messages are archived, for all who may enter; new occupants are warned.
    @ivar registration: who may become a member by registering: C{open} or C{always} (everybody, in a room that
        everybody may enter; with C{open}, whom an admin approves if the room is moderated), C{approval} (whom an admin
        approves) or C{none}.
    @ivar lockNicks: users with a reserved nick may use no other one.
    @ivar refuseLookalikes: nicks that look like another user's are refused.
    @ivar maxUsers: maximum number of occupants; 0 for no limit.
    @ivar historyLength: maximum number of history messages for a new occupant.
    @ivar extensions: the states of extensions (L{muccore.muc.model.extension}) by their name.
    """

    name: str = ""
    description: str = ""
    language: str = ""
    pubsubNode: str = ""
    contacts: tuple[str, ...] = ()
    persistent: bool
    public: bool
    publicOccupants: bool = False
    password: str = field(default="", repr=False)
    membersOnly: bool
    moderated: bool
    nonAnonymous: bool
    changeSubject: bool = False
    allowInvites: bool = False
    allowPM: str = "anyone"
    memberListRoles: tuple[str, ...] = ROLES
    presenceBroadcast: tuple[str, ...] = ROLES
    logged: bool = False
    registration: str = OPEN
    lockNicks: bool = False
    refuseLookalikes: bool = True
    maxUsers: int = 0
    historyLength: int
    extensions: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def toMapping(self) -> dict[str, Any]:
        """The settings as a mapping of JSON values, for a store."""
        values = asdict(self)
        values |= {name: list(values[name]) for name in _LISTS}
        states = values.pop("extensions")
        return values | {EXTENSION_PREFIX + name: state for name, state in states.items()}

    def stored(self) -> dict[str, Any]:
        """The settings as attributes of a C{RoomRecord} or C{RoomChange} (L{muccore.interfaces.rooms})."""
        return {
            "settings": self.toMapping(),
            "name": self.name,
            "public": self.public,
            "temporary": not self.persistent,
            "description": self.description,
            "language": self.language,
        }

    @classmethod
    def fromMapping(cls, stored: Mapping[str, Any], defaults: RoomSettings) -> RoomSettings:
        """Read settings from a store. Missing ones have their default; those of a newer version are ignored."""
        known = {f.name for f in fields(cls)} - {"extensions"}
        values = {name: value for name, value in stored.items() if name in known}
        values |= {name: tuple(values[name]) for name in _LISTS if name in values}
        states = {
            name.removeprefix(EXTENSION_PREFIX): value
            for name, value in stored.items()
            if name.startswith(EXTENSION_PREFIX)
        }
        return replace(defaults, **values, extensions={**defaults.extensions, **states})


_LISTS: Final = tuple(each.name for each in fields(RoomSettings) if each.type == "tuple[str, ...]")


@dataclass(frozen=True)
class ConfigField:
    """
    A field of the configuration form.

    @ivar setting: the attribute of L{RoomSettings}.
    @ivar var: the field's name.
    @ivar kind: its type.
    @ivar options: for lists: value and label of each choice.
    @ivar trueValue: for C{list-single} fields of a boolean setting: the value that means true.
    @ivar hiddenWhenOff: accept the field, but offer it only while the setting is on, or the service has archives.
    @ivar aliases: other names under which a submission may have it.
    @ivar infoVar: the name of the field that shows the setting in C{disco#info}; C{""} if none does.
    @ivar desc: a longer explanation, or C{None}.
    @ivar bounds: the least and the greatest value of a whole number; C{None} for other values.
    @ivar limit: the option of the service (L{MUCServiceSettings<muccore.muc.service.servicesettings>}) that lowers the
        greatest value unless it is 0; C{""} if none does.
    """

    setting: str
    var: str
    kind: str
    label: str
    options: tuple[tuple[str, str], ...] = ()
    trueValue: str = ""
    hiddenWhenOff: bool = False
    infoVar: str = ""
    desc: str | None = None
    bounds: tuple[int, int] | None = None
    limit: str = ""
    aliases: tuple[str, ...] = ()

    def valueIn(self, settings: RoomSettings) -> bool | str | tuple[str, ...]:
        """The value that a form shows for these settings."""
        value: bool | int | str | tuple[str, ...] = getattr(settings, self.setting)
        if self.trueValue:
            return next(option for option, _ in self.options if (option == self.trueValue) == value)
        if self.setting == "maxUsers":
            return str(value) if value else NO_LIMIT
        return value if isinstance(value, (bool, tuple)) else str(value)


_ROLE_OPTIONS: Final = tuple(zip(ROLES, ("Moderators", "Participants", "Visitors"), strict=True))

FIELDS: Final[tuple[ConfigField, ...]] = (
    ConfigField("name", "muc#roomconfig_roomname", "text-single", "Room name", infoVar="muc#roomconfig_roomname"),
    ConfigField(
        "description",
        "muc#roomconfig_roomdesc",
        "text-single",
        "Room description",
        infoVar="muc#roominfo_description",
    ),
    ConfigField("language", "muc#roomconfig_lang", "text-single", "Room language", infoVar="muc#roominfo_lang"),
    ConfigField(
        "pubsubNode",
        "muc#roomconfig_pubsub",
        "text-single",
        "XMPP URI of the associated publish-subscribe node",
        infoVar="muc#roomconfig_pubsub",
    ),
    ConfigField(
        "contacts",
        "muc#roominfo_contactjid",
        "jid-multi",
        "Addresses to contact about the room",
        infoVar="muc#roominfo_contactjid",
    ),
    ConfigField(
        "persistent", "muc#roomconfig_persistentroom", "boolean", "Keep the room when the last occupant leaves"
    ),
    ConfigField("public", "muc#roomconfig_publicroom", "boolean", "List the room publicly"),
    ConfigField(
        "publicOccupants",
        "x-muc#roomconfig_publiclist",
        "boolean",
        "Show everybody who is in the room, if it is public and anyone may enter",
    ),
    ConfigField("membersOnly", "muc#roomconfig_membersonly", "boolean", "Make the room members-only"),
    ConfigField(
        "allowInvites",
        "muc#roomconfig_allowinvites",
        "boolean",
        "Allow members to invite to a members-only room",
        infoVar="muc#roomconfig_allowinvites",
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
    ConfigField(
        "changeSubject",
        "muc#roomconfig_changesubject",
        "boolean",
        "Allow participants to change the subject",
        infoVar="muc#roomconfig_changesubject",
    ),
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
        infoVar="muc#roomconfig_allowpm",
    ),
    ConfigField(
        "presenceBroadcast",
        "muc#roomconfig_presencebroadcast",
        "list-multi",
        "Whose presence others see",
        (*_ROLE_OPTIONS, (ABSENT, "Absent members, as unavailable")),
    ),
    ConfigField(
        "memberListRoles",
        "muc#roomconfig_getmemberlist",
        "list-multi",
        "Who may get the list of members, if everybody may see real addresses",
        _ROLE_OPTIONS,
    ),
    ConfigField("maxUsers", "muc#roomconfig_maxusers", "list-single", "Maximum number of occupants"),
    ConfigField(
        "historyLength",
        "muc#maxhistoryfetch",
        "text-single",
        "Maximum number of history messages",
        infoVar="muc#maxhistoryfetch",
        aliases=("muc#roomconfig_historylength",),  # COMPAT: Prosody's name.
    ),
    ConfigField(
        "registration",
        "x-muc#roomconfig_selfregistration",
        "list-single",
        "Who may become a member by registering",
        (
            (OPEN, "Anyone; whom an admin approves if the room is moderated; nobody if it is members-only"),
            (ALWAYS, "Anyone, who so gets voice in a moderated room; nobody if it is members-only"),
            (APPROVAL, "Anyone whom an admin approves"),
            ("none", "Nobody"),
        ),
    ),
    ConfigField(
        "lockNicks", "x-muc#roomconfig_reservednick", "boolean", "Registered users must use their reserved nickname"
    ),
    ConfigField(
        "refuseLookalikes",
        "x-muc#roomconfig_refuselookalikes",
        "boolean",
        "Refuse nicknames that look like another user's",
    ),
    ConfigField(
        "logged",
        "muc#roomconfig_enablelogging",
        "boolean",
        "Archive messages for all who may enter, and warn new occupants of it",
        # Clients tick every box that they show; without an archive, that would warn of nothing.
        hiddenWhenOff=True,
    ),
)
"""
The settings with one form field each. L{muccore.muc.protocol.owner} adds the two fields of the password
(C{passwordprotectedroom}, C{roomsecret}) and the lists of owners and admins, which are affiliations. There is nothing
that C{muc#roominfo_ldapgroup} and C{muc#roominfo_logs} (XEP-0045 §16.5.4) could show: no LDAP, and no public log.
"""

MAX_USERS_CHOICES: Final = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""The limits that the form offers, besides none and the room's own."""

_FEATURES: Final[tuple[tuple[str, str, str], ...]] = (
    ("password", "muc_passwordprotected", "muc_unsecured"),
    ("public", "muc_public", "muc_hidden"),
    ("persistent", "muc_persistent", "muc_temporary"),
    ("membersOnly", "muc_membersonly", "muc_open"),
    ("moderated", "muc_moderated", "muc_unmoderated"),
    ("nonAnonymous", "muc_nonanonymous", "muc_semianonymous"),
)


def isOpenToEverybody(settings: RoomSettings) -> bool:
    """Whether everybody can find and enter the room, unless they are banned."""
    return settings.public and not settings.membersOnly and not settings.password


def needsApproval(settings: RoomSettings) -> bool:
    """Whether strangers become members by registering if an admin approves."""
    givesVoice = settings.registration == OPEN and settings.moderated and not settings.membersOnly
    return settings.registration == APPROVAL or givesVoice


def features(settings: RoomSettings) -> list[str]:
    """The disco features of a room's type (XEP-0045 §16.3)."""
    return [yes if getattr(settings, name) else no for name, yes, no in _FEATURES]


def statusCodes(old: RoomSettings, new: RoomSettings) -> list[int]:
    """
    The status codes of a change (XEP-0045 §10.2.1, §16.6.2): 170 to 173 for what concerns privacy, 102 and 103 for
    whether absent users are shown, 104 for anything else.
    """
    codes = []
    if new.logged != old.logged:
        codes.append(170 if new.logged else 171)
    if new.nonAnonymous != old.nonAnonymous:
        codes.append(172 if new.nonAnonymous else 173)
    shown = ABSENT in new.presenceBroadcast
    if shown != (ABSENT in old.presenceBroadcast):
        codes.append(102 if shown else 103)
    if _rest(new) != _rest(old):
        codes.append(104)
    return codes


def _rest(settings: RoomSettings) -> RoomSettings:
    """Settings without those that have codes of their own."""
    roles = tuple(role for role in settings.presenceBroadcast if role != ABSENT)
    return replace(settings, logged=False, nonAnonymous=False, presenceBroadcast=roles)
