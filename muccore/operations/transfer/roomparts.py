# -*- test-case-name: tests.operations.transfer.test_roomparts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Parts of rooms of other servers as ours have them: settings, hats and reserved nicks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muccore.muc.model.hats import Hat
from muccore.muc.model.nicks import comparisonForm
from muccore.muc.protocol.nicks import prepareNick
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.roomforms import formOf, settingsOf
from muccore.xmpp.errors import StanzaError


def checkedSettings(settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """
    Check a configuration as that which an owner submits.

    @param settings: as in a L{Room<muccore.operations.transfer.records>}, all of which have fields.
    @return: those that are possible, and the names of the fields of others, each with the reason.
    """
    form, _ = formOf(settings)
    possible, problems = settingsOf(form)
    return possible, [(field, reason.removeprefix(f"{field}: ")) for field, reason in problems]


class HatRows:
    """Collects the hats of one room, and who has them."""

    def __init__(self) -> None:
        self._hats: dict[str, list[str]] = {}
        self._assigned: dict[str, bool] = {}

    def add(self, account: str, uri: str, title: str) -> None:
        """
        Give a user a hat.

        @param account: the bare JID.
        @raise DataError: if it is not acceptable here.
        """
        try:
            hat = Hat.parse(uri, title, "")
        except ValueError as error:
            raise DataError(str(error)) from None
        self._hats.setdefault(hat.uri, [hat.title, hat.hue])
        self._assigned[f"{account} {hat.uri}"] = True

    def states(self) -> dict[str, dict[str, Any]]:
        """The rows, as C{states} of a L{Room<muccore.operations.transfer.records>}."""
        return {"hats": dict(self._hats), "hats-assigned": dict(self._assigned)} if self._hats else {}


class ReservedNicks:
    """The nicks that are reserved in one room: two of them may not be mistaken for each other."""

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}

    def reserve(self, account: str, nick: str) -> str:
        """
        Reserve a nick.

        @param account: the bare JID.
        @return: the nick, prepared.
        @raise DataError: if it is not acceptable here.
        """
        try:
            prepared = prepareNick(nick)
        except StanzaError as error:
            raise DataError(error.text or "it is no nick") from None
        other = self._taken.setdefault(comparisonForm(prepared), account)
        if other != account:
            raise DataError(f"it cannot be told from that of {other}")
        return prepared
