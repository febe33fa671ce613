# Copyright (c) The muccore authors. See LICENSE for details.
"""What third parties add by Twisted plugins."""

from __future__ import annotations

from typing import Any

from twisted.plugin import IPlugin
from twisted.python.filepath import FilePath
from twisted.words.protocols.jabber.ijabber import IXMPPHandler
from zope.interface import Attribute

from muccore.interfaces.stores import IStore


class IStoreFactory(IPlugin):
    """Makes stores of one kind; found with C{getPlugins}, chosen by C{scheme:argument}."""

    kind = Attribute("C{'accounts'} (the stores provide L{IAccounts}) or C{'rooms'} (L{IRoomStore}).")
    scheme = Attribute("The word before the colon.")
    help = Attribute("One line for the configuration reference: what the argument means.")

    def makeStore(argument: str, base: FilePath[str], reactor: Any) -> IStore:
        """
        Make a store that is not open yet; touches no file.

        @param argument: what stands behind the colon.
        @param base: the folder that relative paths start from.
        @param reactor: for threads and time.
        @raise BadDescription: if the argument is not understood.
        """


class IHandlerFactory(IPlugin):
    """Makes handlers of one protocol; found with C{getPlugins}, named in the configuration."""

    name = Attribute("The word that names it in the configuration.")
    help = Attribute("One line for the configuration reference.")

    def makeHandler(argument: str) -> IXMPPHandler:
        """
        Make a handler for one domain.

        @param argument: what stands behind the colon in the configuration, or C{""}.
        @raise BadDescription: if the argument is not understood.
        """
