# Copyright (c) The muccore authors. See LICENSE for details.
"""
How muccore finds the handlers and the store of this package: every object here that provides a factory's interface.
"""

from hello.accounts import GuestAccounts
from hello.protocol import Hello, WokkelHello
from twisted.plugin import IPlugin
from zope.interface import implementer

from muccore.interfaces import BadDescription, IHandlerFactory
from muccore.storage.factory import StoreFactory, filePath


@implementer(IPlugin, IHandlerFactory)
class HelloFactory:
    """Makes one of the two handlers."""

    help = "what to greet with; Hello if there is nothing"

    def __init__(self, name, handler):
        self.name = name
        self._handler = handler

    def makeHandler(self, context):
        """Called before the start and at the start, for each domain whose configuration names the handler."""
        greeting = context.argument or "Hello"
        if len(greeting) > 40:
            raise BadDescription(f"{self.name}: greets with at most 40 characters, found {len(greeting)}")
        return self._handler(greeting)


hello = HelloFactory("hello", Hello)

wokkelHello = HelloFactory("wokkel-hello", WokkelHello)

guestAccounts = StoreFactory(
    "accounts", "guests", "PATH of a file with the guests' password", filePath("guests", GuestAccounts)
)
