# -*- test-case-name: tests.im.test_archivesettings -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The requests by which users say what they want to have archived (XEP-0441), and the document that keeps it."""

from __future__ import annotations

from typing import Any, Final

from muccore.im.archive import ArchiveHandler, checkOwner
from muccore.im.archivepreferences import ROSTER, ArchivePreferences, parsePreferences
from muccore.im.rosters import Rosters
from muccore.im.userdata import storing
from muccore.im.userstate import UserState, UserStates
from muccore.interfaces import IUserDataStore
from muccore.interfaces.handlers import ANSWERED
from muccore.routing.handler import BARE, Handler, answersAnyone
from muccore.routing.turns import WAITING_LIMIT, Turns
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

KIND: Final = "archive"
"""The kind of the document."""

KEY: Final = "preferences"

class ArchiveSettingsHandler(Handler):
    """Answers the requests, and loads what users want when their stanzas come."""

    implements = (Spec(441, "Message Archive Management Preferences", "0.2.0"),)

    def __init__(
        self, archive: ArchiveHandler, rosters: Rosters, store: IUserDataStore | None, states: UserStates | None
    ) -> None:
        """@param store: keeps what users want; C{None}: they cannot say it."""
        super().__init__()
        self._archive = archive
        self._rosters = rosters
        self._store = store
        self._states = states
        self._turns = Turns(WAITING_LIMIT)
        if states is not None:
            states.loaders.append(self._load)

    async def _load(self, account: JID, state: UserState) -> None:
        """Load what a user wants. If that depends on the roster, that must be in memory while there are sessions."""
        assert self._store is not None, "there are states"
        document = await self._store.get(account.bare, KIND, KEY)
        if document is not None:
            state.archiving = ArchivePreferences.decode(document)
        if self._effective(state).default == ROSTER:
            await self._rosters.hasContact(account.bare, account.bare)

    def _effective(self, state: UserState) -> ArchivePreferences:
        return state.archiving or ArchivePreferences(self._archive.default)

    def _stateOf(self, account: JID) -> UserState:
        """
        The state of an account that has sent something, which is behind its loading.

        @raise StanzaError: C{feature-not-implemented} if there are no states (XEP-0441 §2.1).
        """
        state = None if self._states is None else self._states.get(account.bare)
        if state is None:
            raise StanzaError("feature-not-implemented", text="This server stores no preferences.")
        return state

    @answersAnyone
    def onGet(self, element: Element, to: JID) -> Element:
        """Return what is done."""
        checkOwner(element, to)
        return self._effective(self._stateOf(to)).toElement()

    @answersAnyone
    async def onSet(self, element: Element, to: JID) -> Any:
        """Store what the user wants, do it, and answer with it."""
        checkOwner(element, to)
        wanted = parsePreferences(next(element.childElements()))
        async with self._turns.take(to.bare, element):
            self._stateOf(to)
            assert self._store is not None, "there are states"
            if wanted.default == ROSTER:
                await self._rosters.hasContact(to.bare, to.bare)
            with storing():
                await self._store.change(to.bare, {(KIND, KEY): wanted.encode()})
            # A state that was loaded meanwhile has it already.
            self._stateOf(to).archiving = wanted
            self.replyDirectly(element, wanted.toElement())
            return ANSWERED

    async def forget(self, account: JID) -> None:
        """Wait for requests of an account that is being removed."""
        await self._turns.settle(account.bare)

    iqs = {("get", BARE, ns.MAM, "prefs"): onGet, ("set", BARE, ns.MAM, "prefs"): onSet}
