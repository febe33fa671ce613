# Copyright (c) The muccore authors. See LICENSE for details.
"""Lets the server that the suite is run against find the handler of L{tests.interop.accounts}."""

from twisted.plugin import IPlugin
from zope.interface import implementer

from muccore.interfaces import BadDescription, HandlerContext, IHandlerFactory
from tests.interop.accounts import Accounts


@implementer(IPlugin, IHandlerFactory)
class AccountsFactory:
    """Makes the handler."""

    name = "interop-accounts"
    help = "the bare JID of the administrator"

    def makeHandler(self, context: HandlerContext) -> Accounts:
        """Called before the start and at the start."""
        if not context.argument:
            raise BadDescription("interop-accounts: names no administrator")
        return Accounts(context.argument, context.store("accounts"))


accounts = AccountsFactory()
