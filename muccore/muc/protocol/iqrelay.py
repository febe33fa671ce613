# -*- test-case-name: tests.muc.protocol.test_iqrelay -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
IQs between occupants (XEP-0045 §17.4): passed on under occupant JIDs, so that neither learns the other's real JID.

The answer comes from a real JID to an occupant JID, with an id that the room has made; what it stands for is
remembered here, for a bounded number of requests.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, defaultdict
from typing import Final

from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.sanitize import stripErrorBy, withAttributes
from muccore.xmpp import ns
from muccore.xmpp.element import Element

LIMIT: Final = 10_000
"""How many requests may be on their way at once; the eldest is forgotten beyond that."""

ACCOUNT_LIMIT: Final = 100
"""How many of them may be of one account; its eldest is forgotten beyond that, so that nobody makes others' be."""


class IQRelay:
    """The requests between occupants of one service that are on their way."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, tuple[str, str, str, str, str]] = OrderedDict()
        self._tokens: defaultdict[str, OrderedDict[str, None]] = defaultdict(OrderedDict)

    def request(self, iq: Element, sender: OccupantSession, target: Occupant) -> Element:
        """
        Make of a request to an occupant one to their real JID: the one whose presence is shown, or the account for a
        vCard.
        """
        token = secrets.token_urlsafe(12)
        payload = next(iq.childElements(), None)
        to = target.primary.jid
        if payload is not None and payload.uri == ns.VCARD_TEMP:
            to = target.account.bare
        account = sender.occupant.account.bare
        self._waiting[token] = (to, sender.jid, iq.attributes.get("id", ""), target.address, account)
        tokens = self._tokens[account]
        tokens[token] = None
        if len(tokens) > ACCOUNT_LIMIT:
            self._forget(next(iter(tokens)))
        elif len(self._waiting) > LIMIT:
            self._forget(next(iter(self._waiting)))
        return withAttributes(iq, {"from": sender.occupant.address, "to": to, "id": token})

    def answer(self, iq: Element) -> Element | None:
        """
        Make of an occupant's answer the one to the sender of the request.

        @return: C{None} if nobody has asked the sender this.
        """
        token = iq.attributes.get("id", "")
        waiting = self._waiting.get(token)
        if waiting is None or waiting[0] != iq.attributes.get("from"):
            return None
        self._forget(token)
        _, asker, id, address, _ = waiting
        answer = withAttributes(iq, {"from": address, "to": asker, "id": id})
        stripErrorBy(answer)
        return answer

    def _forget(self, token: str) -> None:
        account = self._waiting.pop(token)[-1]
        tokens = self._tokens[account]
        del tokens[token]
        if not tokens:
            del self._tokens[account]
