# -*- test-case-name: tests.server.test_handlers -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The handlers of a host's domains: made from the configuration, and checked before they are added."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.words.protocols.jabber.ijabber import IXMPPHandler

from muccore.config.errors import ConfigError, Problem
from muccore.config.hosts import Host
from muccore.config.plugins import HandlerDescription
from muccore.config.roomfields import newRoom
from muccore.config.schema import HANDLER_SECTION, Settings
from muccore.http.mounts import Mounts
from muccore.http.upload.handler import UploadHandler
from muccore.http.upload.service import Uploads
from muccore.im.accounts import Accounts
from muccore.im.announcements import Announcements
from muccore.im.carbons import CarbonsHandler
from muccore.im.directinvitations import DirectInvitationHandler
from muccore.im.guests import GuestHandler
from muccore.im.newaccounts import NewAccounts
from muccore.im.presence import PresenceHandler
from muccore.im.registration import RegistrationHandler
from muccore.im.registrationpolicy import RegistrationPolicy
from muccore.im.roster import RosterHandler
from muccore.im.rosters import Rosters
from muccore.im.subscribing import SubscriptionHandler
from muccore.im.userdomain import UserDomain
from muccore.interfaces import BadDescription, IAdministration, ISession, IStore
from muccore.interfaces.handlers import HandlerContext, InvalidHandler, InvalidOption
from muccore.interfaces.http import HTTPResource
from muccore.muc.handler import MUCHandler
from muccore.muc.model.costs import CostRates
from muccore.muc.service.invitationpolicy import InvitationPolicy
from muccore.muc.service.servicesettings import MUCServiceSettings
from muccore.pubsub.pep import PEPHandler
from muccore.routing.dispatch import merge
from muccore.routing.domain import Domain
from muccore.server.accountarchive import AccountArchive
from muccore.server.administration import Administration
from muccore.server.pubsub import convert, followPresence, makeServices, pubSubLimits, pubSubSettings
from muccore.server.registrationrate import PasswordRate, RegistrationRate
from muccore.server.stores import ServerStores
from muccore.server.userdata import UserDataHandlers
from muccore.server.website import webChatURL
from muccore.services.administration.handler import AdministrationHandler
from muccore.services.capabilities import CapabilitiesHandler
from muccore.services.contacts import ContactHandler
from muccore.services.disco import AccountDiscoHandler, DiscoHandler, DiscoInfoHandler
from muccore.services.externalservices import ExternalServicesHandler, ExternalServicesSettings
from muccore.services.ping import AccountPingHandler, PingHandler
from muccore.services.time import TimeHandler
from muccore.services.uptime import UptimeHandler
from muccore.services.version import VersionHandler
from muccore.stream.features import BINDING_FEATURES, checkFeatures


class HostHandlers:
    """
    The handlers of one host, in the order in which they are added.

    @ivar muc: the rooms, by the domain of the service.
    @ivar disco: service discovery at the accounts' domain.
    @ivar contacts: the addresses of its operator.
    @ivar presence: the presence of sessions.
    @ivar roster: the contacts of users.
    @ivar guests: what guests may do; C{None} if there are none.
    @ivar uploads: the slots of users for files; C{None} if there are none.
    @ivar externalServices: tells users of services outside of XMPP.
    @ivar userData: the handlers of what users store; C{None} without a store.
    @ivar archive: the archives of users; C{None} if there are none.
    @ivar subscriptions: the subscriptions of users to each other.
    @ivar pep: what users publish; C{None} without a store.
    @ivar pubSub: the publish-subscribe services, by domain.
    @ivar registrar: registers new accounts; C{None} without a store.
    @ivar announcements: what the server tells users; C{None} without a store.
    @ivar accounts: the management of the accounts; C{None} without a store.
    @ivar components: lists the external components that are connected.
    """

    def __init__(
        self, settings: Settings, host: Host, stores: ServerStores, reactor: Any,
        administration: IAdministration | None = None, uploads: Uploads | None = None,
    ) -> None:  # fmt: skip
        """@param administration: the server as its admins see it; C{None}: handlers are only to be checked."""
        self.administration: Any = administration
        self._settings = settings
        self._host = host
        self._stores: dict[str, IStore] = {"accounts": stores.accountsOf(host), "rooms": stores.rooms}
        if stores.archive is not None:
            self._stores["archive"] = stores.archive
        if stores.audit is not None:
            self._stores["audit"] = stores.audit
        self.userData: UserDataHandlers | None = None
        store = stores.userDataOf(host)
        if store is not None:
            self._stores["userdata"] = store
        nodes = stores.pubSubOf(host)
        if nodes is not None:
            self._stores["pubsub"] = nodes
        self._reactor = reactor
        options = mucOptions(settings, host.domain)
        rosters = Rosters(stores.rosters, self._isOnline)
        invitations = InvitationPolicy(reactor.seconds, rosters.isContact)
        self.muc = {
            service: MUCHandler(
                stores.rooms, options, archive=stores.archive, audit=stores.audit, occupants=stores.occupants,
                invitations=invitations,
            )
            for service in host.roomServices
        }  # fmt: skip
        self.disco = AccountDiscoHandler(self._services, settings.server.name)
        self.contacts = ContactHandler(host.contactAddresses)
        self.components: Callable[[], Iterable[str]] = tuple
        self._suffix = f".{host.domain}"
        self.presence = PresenceHandler(settings.limits.directedPresences, rosters)
        self.roster = RosterHandler(rosters, self.presence, settings.limits.rosterItems)
        subscriptions = SubscriptionHandler(rosters, self.roster, self.presence, stores.accountsOf(host))
        self.subscriptions = subscriptions
        self._policy = RegistrationPolicy(0, False)
        self._rate = RegistrationRate(1, 1, reactor.seconds)
        self._configureRegistration(settings, host)
        self.registrar: NewAccounts | None = None
        self.announcements: Announcements | None = None
        self.accounts: Accounts | None = None
        if store is not None:
            services = frozenset(service for each in settings.hosts for service in each.roomServices)
            self.userData = UserDataHandlers(
                store, settings.users, self.presence, stores.accountsOf(host), services
            )
            self.accounts = Accounts(stores.accountsOf(host), store, host.domain, settings.registration.tombstoneTime)
            self.accounts.removers["subscriptions"] = subscriptions.cancelAll
            self.userData.joinAccounts(self.accounts)
            archive = stores.archive
            if archive is not None:
                self.accounts.removers["archive"] = lambda account: archive.delete(account.bare)
            subscriptions.redeem = self._redeem
            self.announcements = Announcements(store, host.domain, self.presence)
            self.accounts.createdObservers.append(self.announcements.created)
            self.registrar = NewAccounts(
                self.accounts, store, host.domain, self._policy, self._rate.admits, subscriptions.befriend
            )
        self.pep: PEPHandler | None = None
        if nodes is not None:
            states = None if self.userData is None else self.userData.states
            self.pep = PEPHandler(nodes, pubSubLimits(settings), rosters, states)
            followPresence(self.pep, self.presence)
            self.disco.contacts, self.disco.publishers = rosters, [self.pep]
            if self.accounts is not None:
                self.accounts.removers["pubsub"] = self.pep.forget
            if self.userData is not None and store is not None:
                convert(self.pep, self.userData, store)
        self.pubSub = {} if nodes is None else makeServices(nodes, host.pubSubServices, settings)
        self.archive: AccountArchive | None = None
        if stores.archive is not None and settings.users.archive:
            self.archive = AccountArchive(stores.archive, settings.users, rosters, store, self.userData)
            if self.accounts is not None:
                # Before documents are removed.
                removers = {"archive preferences": self.archive.settings.forget}
                self.accounts.removers = {**removers, **self.accounts.removers}
        self.uploads = None if uploads is None else UploadHandler(uploads)
        if uploads is not None and self.accounts is not None:
            self.accounts.removers["uploads"] = uploads.forget
        self.externalServices = ExternalServicesHandler(externalServices(settings, host.domain))
        self.externalServices.hasGuests = host.anonymous
        self.guests: GuestHandler | None = None
        if host.anonymous:
            self.guests = GuestHandler([host.domain, *host.roomServices], settings.anonymous.otherDomains)
            self.disco.guests = True
            if self.uploads is not None:
                self.uploads.guests = True
            if self.pep is not None:
                self.pep.guests = True
            if self.announcements is not None:
                self.announcements.guests = True
            if self.userData is not None:
                self.userData.lastActivity.guests = self.userData.pushes.guests = True
            if self.archive is not None:
                self.archive.archive.guests = True
        self._builtin: dict[str, list[Any]] = {
            host.domain: [
                self.disco, AccountPingHandler(), subscriptions, self.presence, self.roster, CarbonsHandler(),
                VersionHandler(), TimeHandler(), UptimeHandler(), self.contacts, CapabilitiesHandler(),
                self.externalServices, DirectInvitationHandler(invitations.admitDirect),
                *(() if self.userData is None else self.userData.all), *self._accountHandlers(settings),
                *(() if self.pep is None else [self.pep]),
                *(() if self.archive is None else self.archive.all),
                *(each for each in (self.guests, self.uploads) if each is not None),
            ],
        }  # fmt: skip
        for service, muc in self.muc.items():
            self._builtin[service] = [DiscoInfoHandler(), PingHandler(), VersionHandler(), muc]
        for service, pubSub in self.pubSub.items():
            self._builtin[service] = [DiscoHandler(), PingHandler(), VersionHandler(), pubSub]

    def joinAdministration(self, administration: Administration) -> None:
        """Let admins find what they manage."""
        domain = self._host.domain
        if self.accounts is not None and self.registrar is not None and self.announcements is not None:
            administration.accounts[domain] = self.accounts
            administration.invitations[domain] = self.registrar
            administration.announcements[domain] = self.announcements
            self.accounts.removers["admin"] = administration.forget
        if self.userData is not None:
            administration.lastLogins[domain] = self.userData.lastActivity.lastLogin

    async def _redeem(self, account: str, token: str) -> bool:
        return self.registrar is not None and await self.registrar.redeem(account, token)

    def _configureRegistration(self, settings: Settings, host: Host) -> None:
        policy, section = self._policy, settings.registration
        policy.minimumLength, policy.plaintext = section.minimumLength, settings.c2s.allowPlaintextAuth
        policy.mode, policy.url = host.registration, section.redirectUrl
        # An admin whose account does not exist yet must not be made by others.
        admins = [each.partition("@")[0] for each in settings.server.admins]
        # As long as the server runs, whatever a new configuration says.
        policy.guests = self._host.anonymous
        policy.nameLength = section.nameLength
        policy.reservedNames = frozenset([*map(str.lower, section.reservedNames), *admins])
        policy.invitationTime, policy.userInvitations = section.invitationTime, section.userInvitations
        self._rate.configure(section.attemptsPerAddress, section.attempts)

    def _accountHandlers(self, settings: Settings) -> Iterator[Any]:
        """The handlers about the accounts themselves."""
        if self.accounts is not None:
            yield self.accounts
            yield RegistrationHandler(self.accounts, self._policy, PasswordRate(self._reactor.seconds).admits)
        if self.announcements is not None:
            yield self.announcements
        yield AdministrationHandler(self.administration, self._host.domain)

    def _isOnline(self, account: str) -> bool:
        return bool(self.presence.parent.sessions.isInUse(account))

    def sessionRestored(self, session: ISession) -> Deferred[Any]:
        """Prepare the handlers for a session of this host that was saved. Never fails."""
        return succeed(None) if self.userData is None else self.userData.sessionRestored(session)

    async def finished(self, flush: Callable[[], Deferred[None]]) -> None:
        """See L{UserDataHandlers.finished}; also until what was retracted is so in the archives."""
        if self.userData is None:
            await flush()
        else:
            await self.userData.finished(flush)
        if self.archive is not None:
            await self.archive.archive.retracting.work.finished()

    def reconfigure(self, settings: Settings) -> None:
        """Apply a new configuration to the handlers of the accounts' domain."""
        self.presence.directedLimit = settings.limits.directedPresences
        self.roster.limit = settings.limits.rosterItems
        self.disco.rename(settings.server.name)
        for host in settings.hosts:
            if host.domain == self._host.domain:
                self.contacts.addresses = host.contactAddresses
                self._configureRegistration(settings, host)
        self.externalServices.settings = externalServices(settings, self._host.domain)
        if self.guests is not None:
            self.guests.otherDomains = settings.anonymous.otherDomains
        if self.userData is not None:
            self.userData.reconfigure(settings.users)
        if self.archive is not None:
            self.archive.reconfigure(settings.users)
        if self.pep is not None:
            self.pep.forms.limits = pubSubLimits(settings)
        for pubSub in self.pubSub.values():
            pubSub.reconfigure(pubSubSettings(settings))
        if self.accounts is not None:
            self.accounts.tombstoneTime = settings.registration.tombstoneTime

    def _services(self) -> Iterator[tuple[str, str | None]]:
        for service, muc in self.muc.items():
            yield service, muc.options.name
        for service, pubSub in self.pubSub.items():
            yield service, pubSub.settings.name
        for component in self.components():
            if component.endswith(self._suffix):
                yield component, None

    def make(self, domain: str) -> Iterator[Any]:
        """
        Make the handlers of a domain.

        @raise ConfigError: if a plugin does not make its handler.
        """
        extra = [self._makeExtra(domain, description) for description in self._descriptions(domain)]
        if domain in self.muc:
            self.muc[domain].extendRooms(extra)
        yield from self._builtin[domain]
        yield from extra

    def _descriptions(self, domain: str) -> Sequence[HandlerDescription]:
        if domain in self.pubSub:
            return ()
        return self._host.mucExtraHandlers if domain in self.muc else self._host.extraHandlers

    def _makeExtra(self, domain: str, description: HandlerDescription) -> Any:
        settings, name = self._settings, description.name
        options = settings.handlers.get(name, {})
        try:
            context = HandlerContext(description.argument, options, settings.base, self._reactor, self._stores, domain)
            handler = description.findFactory().makeHandler(context)
        except InvalidOption as e:
            raise ConfigError([settings.problem(HANDLER_SECTION + name, e.key, _oneLine(e))]) from None
        except BadDescription as e:
            problem = str(e)
        except Exception as e:
            problem = f"the handler {name!r} cannot be made: {type(e).__name__}: {e}"
        else:
            if IXMPPHandler.providedBy(handler):
                return handler
            problem = f"the plugin {name!r} makes no handler, but {type(handler).__name__}"
        raise ConfigError([self._problem(domain, problem)])

    def _problem(self, domain: str, text: str) -> Problem:
        place = self._host.mucExtraHandlersAt if domain in self.muc else self._host.extraHandlersAt
        return self._settings.problem(*place, f"{domain}: {_oneLine(text)}")

    def findProblems(self) -> Iterator[Problem]:
        """Find handlers that cannot be made, and tables that cannot be merged; no handler is added."""
        mounts = Mounts()
        for made in (each for builtin in self._builtin.values() for each in builtin):
            for resource in httpResourcesOf(made):
                mounts.add(resource)
        for domain, builtin in self._builtin.items():
            kind = UserDomain if domain == self._host.domain else Domain
            added = list(builtin)
            streamFeatures = [*BINDING_FEATURES, *(each for made in builtin for each in streamFeaturesOf(made))]
            for description in self._descriptions(domain):
                try:
                    handler = self._makeExtra(domain, description)
                    if domain in self.muc:
                        self.muc[domain].extendRooms([*added, handler])
                    merge([*added, handler], kind.bind, lambda element, to: None)
                    kind.checkFilters([handler])
                    for each in httpResourcesOf(handler):
                        mounts.add(each)
                    if kind is UserDomain:
                        streamFeatures.extend(streamFeaturesOf(handler))
                        checkFeatures(streamFeatures)
                except ConfigError as e:
                    yield from e.problems
                except (InvalidHandler, ValueError) as e:
                    yield self._problem(domain, str(e))
                else:
                    added.append(handler)


def streamFeaturesOf(handler: Any) -> Sequence[Any]:
    """The stream features of a handler, which may be one of wokkel's."""
    return getattr(handler, "streamFeatures", ())


def httpResourcesOf(handler: Any) -> Sequence[HTTPResource]:
    """What a handler, which may be one of wokkel's, adds to the HTTP site."""
    return getattr(handler, "httpResources", ())


def _oneLine(text: object) -> str:
    return " ".join(str(text).split())


def externalServices(settings: Settings, domain: str) -> ExternalServicesSettings:
    """Return what the users of a domain are told of services outside of XMPP."""
    section = settings.external_services
    services = section.services if not section.domains or domain in section.domains else ()
    return ExternalServicesSettings(services, section.secret, section.credentialLifetime, section.guests)


def mucOptions(settings: Settings, localDomain: str) -> MUCServiceSettings:
    """Return the options of the rooms of a host."""
    muc, archiving = settings.muc, bool(settings.storage.placeOf("archive")[1])
    anonymous = frozenset(host.domain for host in settings.hosts if host.anonymous)
    return MUCServiceSettings(
        name=muc.name,
        localDomain=localDomain,
        creation=muc.roomCreation,
        listing=muc.roomList,
        registration=muc.roomRegistration,
        lockNewRooms=muc.lockNewRooms,
        roomsPerUser=muc.roomsPerUser,
        roomsPerMinute=muc.roomsPerMinute,
        roomsLimit=muc.roomsLimit,
        roomSizeLimit=muc.roomSizeLimit,
        userSizeLimit=muc.userSizeLimit,
        totalSizeLimit=muc.totalSizeLimit,
        defaults=newRoom(muc, archiving and muc.defaultArchive),
        lockedFields=frozenset(muc.lockedFields),
        historyLimit=muc.historyLimit,
        maxUsersLimit=muc.maxUsersLimit,
        idleRooms=muc.idleRooms,
        grace=muc.temporaryRoomGrace,
        occupantGrace=muc.occupantGrace,
        lockTimeout=muc.roomLockTimeout,
        tombstoneTime=muc.tombstoneTime,
        pingInterval=muc.pingInterval,
        presenceSize=muc.presenceSize,
        archiving=archiving,
        archiveRetention=muc.archiveRetention,
        auditRetention=muc.auditRetention,
        blockLists=muc.blockLists,
        costRates=CostRates(muc.occupantRate, muc.occupantBurst, muc.roomRate, muc.roomBurst),
        listLimit=muc.listLimit,
        messagesPerMinute=muc.messagesPerMinute,
        presencePerMinute=muc.presencePerMinute,
        joinsPerMinute=muc.joinsPerMinute,
        webchatURL=webChatURL(settings, localDomain),
        guestDomains=frozenset() if settings.anonymous.roomCreation else anonymous,
        anonymousDomains=anonymous,
    )
