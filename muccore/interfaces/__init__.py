# Copyright (c) The muccore authors. See LICENSE for details.
"""
The interfaces between the floors, each with what it promises and the errors that belong to it.

Whatever may have to wait answers with a L{Deferred}, in memory too.
"""

from muccore.interfaces.plugins import IHandlerFactory, IStoreFactory
from muccore.interfaces.rooms import Affiliate, IRoomStore, PublicRooms, RoomChange, RoomRecord, Subject
from muccore.interfaces.routing import IDomain, IRoute, IRouter, ISession, ISessionBinder, IStream
from muccore.interfaces.stores import (
    BadDescription,
    IAccountStore,
    IAuthBackend,
    IStore,
    NoSuchUser,
    SchemaTooNew,
    StoreError,
    StoreUnavailable,
    UserExists,
)

__all__ = [
    "Affiliate",
    "BadDescription",
    "IAccountStore",
    "IAuthBackend",
    "IDomain",
    "IHandlerFactory",
    "IRoomStore",
    "IRoute",
    "IRouter",
    "ISession",
    "ISessionBinder",
    "IStore",
    "IStoreFactory",
    "IStream",
    "NoSuchUser",
    "PublicRooms",
    "RoomChange",
    "RoomRecord",
    "SchemaTooNew",
    "StoreError",
    "StoreUnavailable",
    "Subject",
    "UserExists",
]
