# -*- test-case-name: tests.server.test_administration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The ad-hoc commands at a domain of accounts: whoever may not use one does not find it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wokkel import disco

from muccore.interfaces import IAdministration
from muccore.routing.handler import HOST, Handler
from muccore.services.administration import invitations, lists, messages, server, users
from muccore.services.administration.base import Subject
from muccore.xmpp import jid, ns
from muccore.xmpp.commands import Commands
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec


class AdministrationHandler(Handler):
    """The commands of one host."""

    implements = (
        Spec(133, "Service Administration", "1.3.1", "Without black- and whitelists."),
    )
    features = (ns.COMMANDS,)

    def __init__(self, administration: IAdministration, host: str) -> None:
        super().__init__()
        self._subject = Subject(administration, host)

    def connectionInitialized(self) -> None:
        """Collect the commands."""
        made = [cls() for cls in (*users.COMMANDS, *messages.COMMANDS, *server.COMMANDS, *invitations.COMMANDS)]
        self._commands: Commands[Subject] = Commands([*made, *lists.commands()], self.parent.clock.seconds)

    def onCommand(self, element: Element, to: JID) -> Any:
        """Execute one, or go on with it."""
        return self._commands.execute(self._subject, element, jid.parse(element.attributes["from"]), to)

    def _mayUse(self, requester: JID, node: str) -> bool:
        return self._commands.mayUse(self._subject, requester, node)

    def getDiscoInfo(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Sequence[Any]:
        """See C{IDisco}: of the list of commands, and of those that the requester may use."""
        if target.user or not nodeIdentifier:
            return super().getDiscoInfo(requestor, target, nodeIdentifier)
        requester = jid.parse(requestor.full())
        if nodeIdentifier != ns.COMMANDS and not self._mayUse(requester, nodeIdentifier):
            return []
        found = self._commands.info(self._subject, requester, nodeIdentifier)
        made: list[Any] = []
        for child in () if found is None else found.childElements():
            get = child.attributes.get
            if child.name == "identity":
                made.append(disco.DiscoIdentity(get("category"), get("type"), get("name")))
            else:
                made.append(disco.DiscoFeature(get("var")))
        return made

    def getDiscoItems(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Sequence[Any]:
        """See C{IDisco}: the commands that the requester may use."""
        if target.user or nodeIdentifier != ns.COMMANDS:
            return []
        requester, host = jid.parse(requestor.full()), jid.parse(self._subject.host)
        found = self._commands.items(self._subject, requester, host, nodeIdentifier)
        return [
            disco.DiscoItem(target, each.attributes["node"], each.attributes["name"])
            for each in (() if found is None else found.childElements())
        ]

    iqs = {("set", HOST, ns.COMMANDS, "command"): onCommand}
