# Copyright (c) The muccore authors. See LICENSE for details.
"""
The interfaces between the floors, each with what it promises and the errors that belong to it.

Whatever may have to wait answers with a L{Deferred}, in memory too.
"""

from muccore.interfaces.plugins import IHandlerFactory, IStoreFactory
from muccore.interfaces.rooms import Affiliate, IRoomStore, PublicRooms, RoomChange, RoomRecord, Subject
from muccore.interfaces.routing import IBinder, ICarrier, IDomain, IRoute, IRouter, ISession
from muccore.interfaces.stores import (
    BadDescription,
    IAccounts,
    IAccountStore,
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
    "IAccounts",
    "IBinder",
    "ICarrier",
    "IDomain",
    "IHandlerFactory",
    "IRoomStore",
    "IRoute",
    "IRouter",
    "ISession",
    "IStore",
    "IStoreFactory",
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
