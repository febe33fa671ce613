# Copyright (c) The muccore authors. See LICENSE for details.
"""
Floor 0: the interfaces between floors, one module for each purpose, with their errors.

Every method that may have to wait returns a L{Deferred}, in memory too.
"""

from muccore.interfaces.accountarchive import IAccountArchive
from muccore.interfaces.accountmanagement import AccountBusy, AccountStep, IAccounts, NameReserved, NotManageable
from muccore.interfaces.accounts import IAccountStore, NoSuchUser, UserExists
from muccore.interfaces.administration import IAdministration, IAnnouncements, UserStatistics
from muccore.interfaces.archive import (
    IDS_LIMIT,
    WORDS_LIMIT,
    ArchiveItem,
    ArchiveMetadata,
    ArchivePage,
    ArchiveQuery,
    IArchiveStore,
    ItemExists,
    NoSuchItem,
    QueryRefused,
)
from muccore.interfaces.audit import ENTRIES_LIMIT, AuditEntry, AuditPage, AuditQuery, IAuditStore
from muccore.interfaces.auth import IAuthBackend
from muccore.interfaces.bookmarks import IBookmarks
from muccore.interfaces.components import IComponent
from muccore.interfaces.contacts import IContacts
from muccore.interfaces.handlers import HandlerContext, IHandlerFactory, InvalidOption
from muccore.interfaces.occupants import IOccupantStore, Place
from muccore.interfaces.pubsub import (
    IPubSubStore,
    ItemPage,
    ItemQuery,
    NodeChange,
    NodeExists,
    NoSuchNode,
    PubSubItem,
    StoredNode,
    StoredSubscription,
    TooManyItems,
    TooManyNodes,
)
from muccore.interfaces.registration import IInvitations, IRegistrar, IssuedInvitation, RegistrationState
from muccore.interfaces.rooms import (
    Affiliate,
    AffiliatedRooms,
    FoundRooms,
    IRoomStore,
    PublicRooms,
    RoomChange,
    RoomRecord,
    RoomSearch,
    Subject,
    Tombstone,
)
from muccore.interfaces.roster import IRosterStore, RosterChange, RosterItem, StoredRoster
from muccore.interfaces.routing import IDestination, IDomain, IDomainObserver, IElsewhere, IRoute, IRouter
from muccore.interfaces.sessions import (
    IDeliveryObserver,
    IHeldMessageObserver,
    ISession,
    ISessionBinder,
    ISessionObserver,
    ISessions,
    IStreamManagement,
    IUserDomain,
    ResumptionFailed,
    UserAgent,
)
from muccore.interfaces.stores import BadDescription, IStore, IStoreFactory, SchemaTooNew, StoreError, StoreUnavailable
from muccore.interfaces.streams import InlineFeature, IStream, IStreamFeature, Offering, Stage
from muccore.interfaces.uploads import IUploadStore, IUploadWriter, NoSuchUpload, QuotaExceeded, Upload, UploadUsage
from muccore.interfaces.userdata import DataTooLarge, IUserDataStore
from muccore.interfaces.userstate import IUserState, IUserStates

__all__ = [
    "ENTRIES_LIMIT", "IDS_LIMIT", "WORDS_LIMIT", "AccountBusy", "AccountStep", "Affiliate", "AffiliatedRooms",
    "ArchiveItem", "ArchiveMetadata", "ArchivePage", "ArchiveQuery", "AuditEntry", "AuditPage", "AuditQuery",
    "BadDescription", "DataTooLarge", "FoundRooms", "HandlerContext", "IAccountArchive", "IAccountStore", "IAccounts",
    "IAdministration", "IAnnouncements", "IArchiveStore", "IAuditStore", "IAuthBackend", "IBookmarks", "IComponent",
    "IContacts", "IDeliveryObserver", "IDestination", "IDomain", "IDomainObserver", "IElsewhere", "IHandlerFactory",
    "IHeldMessageObserver", "IInvitations", "IOccupantStore", "IPubSubStore", "IRegistrar", "IRoomStore",
    "IRosterStore", "IRoute", "IRouter", "ISession", "ISessionBinder", "ISessionObserver", "ISessions", "IStore",
    "IStoreFactory", "IStream", "IStreamFeature", "IStreamManagement", "IUploadStore", "IUploadWriter",
    "IUserDataStore", "IUserDomain", "IUserState", "IUserStates", "InlineFeature", "InvalidOption", "IssuedInvitation",
    "ItemExists", "ItemPage", "ItemQuery", "NameReserved", "NoSuchItem", "NoSuchNode", "NoSuchUpload", "NoSuchUser",
    "NodeChange", "NodeExists", "NotManageable", "Offering", "Place", "PubSubItem", "PublicRooms", "QueryRefused",
    "QuotaExceeded",
    "RegistrationState", "ResumptionFailed", "RoomChange", "RoomRecord", "RoomSearch", "RosterChange", "RosterItem",
    "SchemaTooNew", "Stage", "StoreError", "StoreUnavailable", "StoredNode", "StoredRoster", "StoredSubscription",
    "Subject", "Tombstone", "TooManyItems", "TooManyNodes", "Upload", "UploadUsage", "UserAgent", "UserExists",
    "UserStatistics",
]
