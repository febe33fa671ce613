# -*- test-case-name: tests.operations.transfer.ejabberd.test_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The rooms of ejabberd as records: rows of its table C{muc_room}, whose options are its names for the settings of a room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from muccore.interfaces import Affiliate, Subject
from muccore.muc.model.privileges import AFFILIATIONS
from muccore.muc.model.roomsettings import ABSENT, ROLES
from muccore.muc.protocol.admin import REASON_LIMIT
from muccore.operations.transfer.ejabberd.terms import FALSE, TRUE, Atom, Term
from muccore.operations.transfer.ejabberd.values import addressOf, textOf
from muccore.operations.transfer.foreignelements import shown
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.records import Problem, Room
from muccore.operations.transfer.roomparts import HatRows, ReservedNicks, checkedSettings
from muccore.operations.transfer.xmlelements import parseElement
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import InvalidJID

Options = dict[str, Term]

_TEXTS: Final = {"title": "name", "description": "description", "lang": "language", "pubsub": "pubsubNode"}
_SWITCHES: Final = {
    "allow_change_subj": "changeSubject", "public": "public", "public_list": "publicOccupants",
    "persistent": "persistent", "members_only": "membersOnly", "allow_user_invites": "allowInvites", "mam": "logged",
}  # fmt: skip
_WITHOUT: Final[Mapping[str, Term]] = {
    "allow_query_users": TRUE, "allow_visitor_status": TRUE, "allow_visitor_nickchange": TRUE,
    "allow_voice_requests": TRUE, "allow_subscription": FALSE, "captcha_protected": FALSE, "logging": FALSE,
    "voice_request_min_interval": 1800,
}  # fmt: skip
"""Options that muccore does not have, by what is nearest to how it behaves."""

_KNOWN: Final = frozenset((
    *_TEXTS, *_SWITCHES, *_WITHOUT, "moderated", "members_by_default", "password_protected", "password", "anonymous",
    "max_users", "presence_broadcast", "allow_private_messages", "allow_private_messages_from_visitors", "allowpm",
    "vcard", "vcard_xupdate", "enable_hats", "hats_users", "hats_defs", "captcha_whitelist", "affiliations", "roles",
    "subject", "subject_author", "hibernation_time", "subscribers",
))  # fmt: skip
_UNKNOWN_REASON: Final = "muccore has no such setting"


class RoomReader:
    """
    Makes records of rows.

    @ivar room: the address of the last room; C{""} if it has none.
    @ivar problems: what of the last room cannot come.
    """

    def __init__(self, nicks: Mapping[tuple[str, str], str], written: float) -> None:
        """
        @param nicks: the nicks that users have registered with services, by service and bare JID.
        @param written: when the file was written, in seconds since the epoch: ejabberd does not keep when a subject was
            set.
        """
        self.problems: list[Problem] = []
        self._nicks = nicks
        self._written = written
        self.room = ""

    def record(self, row: tuple[Term, ...]) -> Room | None:
        """
        Make the record of a row; C{None} if it cannot come at all.

        @raise DataError: if it is no room.
        """
        self.problems, self.room = [], ""
        if len(row) < 3 or not isinstance(row[2], list):
            raise DataError("a row of muc_room is no room")
        try:
            room = addressOf(row[1])
        except (DataError, InvalidJID) as error:
            self.problems.append(Problem("", "a room", str(error), wholly=True))
            return None
        self.room = room.bare
        options: Options = {str(each[0]): each[1] for each in row[2] if isinstance(each, tuple) and len(each) == 2}
        if options.get("persistent") != TRUE:
            self.problems.append(Problem(room.bare, "room", "it is temporary: it ends with ejabberd", wholly=True))
            return None
        return Room(
            room=room.bare,
            settings=self._settings(options),
            affiliates=self._affiliates(options, room.domain),
            subject=self._try("subject", None, self._subject, options),
            states=self._hats(options).states(),
            vCard=self._try("vCard", None, _vCard, options),
        )

    def _report(self, what: str, reason: str) -> None:
        self.problems.append(Problem(self.room, what, reason))

    def _try(self, what: str, default: Any, read: Callable[..., Any], *arguments: Any) -> Any:
        """Read something; report what is wrong with it."""
        try:
            return read(*arguments)
        except ValueError as error:
            # DataError, InvalidJID, and what is no XML.
            self._report(what, str(error))
            return default

    def _settings(self, options: Options) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for option, setting in _SWITCHES.items():
            if options.get(option) in (TRUE, FALSE):
                made[setting] = options[option] == TRUE
        for option, setting in _TEXTS.items():
            if option in options:
                made[setting] = self._try(option, "", textOf, options[option])
        if "anonymous" in options:
            made["nonAnonymous"] = options["anonymous"] == FALSE
        # Who enters without voice only depends on members_by_default; without that, nobody does.
        made["moderated"] = options.get("moderated") == TRUE and options.get("members_by_default") == FALSE
        protected = options.get("password_protected") == TRUE
        made["password"] = self._try("password", "", textOf, options.get("password", b"")) if protected else ""
        limit = options.get("max_users")
        made["maxUsers"] = limit if isinstance(limit, int) and limit > 0 else 0
        made["allowPM"] = self._privateMessages(options)
        broadcast = options.get("presence_broadcast")
        if isinstance(broadcast, list):
            made["presenceBroadcast"] = [role for role in (*ROLES, ABSENT) if Atom(role) in broadcast]
        self._reportOthers(options)
        settings, problems = checkedSettings(made)
        for field, reason in problems:
            self._report(f"setting {field}", reason)
        return settings

    def _privateMessages(self, options: Options) -> str:
        """Who may send private messages: newer versions have one option, older ones two."""
        choice = options.get("allowpm")
        if isinstance(choice, Atom) and choice in ("anyone", "participants", "moderators", "none"):
            return str(choice)
        if options.get("allow_private_messages", TRUE) == FALSE:
            return "none"
        visitors = options.get("allow_private_messages_from_visitors", Atom("anyone"))
        if visitors == "moderators":
            self._report("setting allow_private_messages_from_visitors", "visitors cannot write to moderators only")
        return "anyone" if visitors == "anyone" else "participants"

    def _reportOthers(self, options: Options) -> None:
        """Report what muccore cannot do."""
        for option, usual in _WITHOUT.items():
            if options.get(option, usual) != usual:
                self._report(f"setting {option}", _UNKNOWN_REASON)
        for option in sorted(options.keys() - _KNOWN):
            self._report(f"setting {shown(option)}", _UNKNOWN_REASON)
        subscribers = options.get("subscribers")
        if isinstance(subscribers, list) and subscribers:
            self._report(f"{len(subscribers)} subscribers", "muccore has no MUC/Sub")

    def _affiliates(self, options: Options, service: str) -> dict[str, Affiliate]:
        listed = options.get("affiliations")
        made: dict[str, Affiliate] = {}
        for entry in listed if isinstance(listed, list) else ():
            found = self._try("affiliation", None, _affiliate, entry)
            if found is not None:
                account, affiliate = found
                made[account] = affiliate
                if len(affiliate.reason or "") > REASON_LIMIT:
                    made[account] = replace(affiliate, reason=affiliate.reason[:REASON_LIMIT])
                    self._report(f"reason for {account}", f"it is cut to {REASON_LIMIT} characters")
        nicks = ReservedNicks()
        for account, affiliate in sorted(made.items()):
            nick = self._nicks.get((service, account))
            if nick is not None and affiliate.affiliation != "outcast":
                reserved = self._try(f"registered nick of {account}", None, nicks.reserve, account, nick)
                made[account] = Affiliate(affiliate.affiliation, reserved, affiliate.reason)
        return made

    def _subject(self, options: Options) -> Subject | None:
        subject, language = options.get("subject", b""), ""
        if isinstance(subject, list):
            # A text in each language: that without one, if there is one.
            texts = [each for each in subject if isinstance(each, tuple) and len(each) == 3]
            texts.sort(key=lambda each: bool(each[1]))
            language, subject = (textOf(texts[0][1]), texts[0][2]) if texts else ("", b"")
        text = textOf(subject)
        author = options.get("subject_author", b"")
        account = ""
        if isinstance(author, tuple) and len(author) == 2:
            author, address = author
            account = addressOf(address).bare
        nick = textOf(author)
        return Subject(text, nick, self._written, language or None, account) if text or nick else None

    def _hats(self, options: Options) -> HatRows:
        rows = HatRows()
        wearers = options.get("hats_users")
        for entry in wearers if isinstance(wearers, list) else ():
            self._try("hat", None, _addHats, entry, rows)
        return rows


def _affiliate(entry: Term) -> tuple[str, Affiliate] | None:
    if not (isinstance(entry, tuple) and len(entry) == 2):
        raise DataError("it is no entry of the list")
    address, value = entry
    affiliation, reason = value if isinstance(value, tuple) and len(value) == 2 else (value, b"")
    account = addressOf(address).bare
    if affiliation == "none":
        return None
    if not isinstance(affiliation, Atom) or affiliation not in AFFILIATIONS:
        raise DataError(f"that of {account} is not known")
    return account, Affiliate(str(affiliation), None, textOf(reason) or None)


def _addHats(entry: Term, rows: HatRows) -> None:
    if not (isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[1], list)):
        raise DataError("it is no hat")
    account = addressOf(entry[0]).bare
    for hat in entry[1]:
        if not (isinstance(hat, tuple) and len(hat) >= 2):
            raise DataError("it is no hat")
        rows.add(account, textOf(hat[0]), textOf(hat[1]))


def _vCard(options: Options) -> Element | None:
    content = textOf(options.get("vcard", b""))
    return parseElement(content.encode(), ns.VCARD_TEMP) if content else None
