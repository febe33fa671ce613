# -*- test-case-name: tests.server.test_handlers -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The handlers of a server's domains: made from the configuration, and checked before they are added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from twisted.words.protocols.jabber.ijabber import IXMPPHandler

from muccore.config.errors import ConfigError, Problem
from muccore.config.plugins import HandlerDescription
from muccore.config.schema import HANDLER_SECTION, Settings
from muccore.im.presence import PresenceHandler
from muccore.im.roster import RosterHandler
from muccore.im.userdomain import UserDomain
from muccore.interfaces import BadDescription, IRoomStore, IStore
from muccore.interfaces.handlers import HandlerContext, InvalidHandler, InvalidOption
from muccore.muc.handler import MUCHandler
from muccore.muc.model.roomsettings import RoomSettings
from muccore.muc.service.servicesettings import MUCServiceSettings
from muccore.routing.dispatch import merge
from muccore.routing.domain import Domain
from muccore.services.disco import AccountDiscoHandler, DiscoInfoHandler
from muccore.services.ping import AccountPingHandler, PingHandler
from muccore.services.time import TimeHandler
from muccore.services.version import VersionHandler
from muccore.stream.features import BINDING_FEATURES, mergeNonzas

DOMAINS: Final = (("server", UserDomain), ("muc", Domain))
"""The section that configures each domain, and the class of the domain."""


class ServerHandlers:
    """
    The handlers of one server, in the order in which they are added.

    @ivar muc: the rooms.
    @ivar disco: service discovery at the accounts' domain.
    @ivar presence: the presence of sessions.
    """

    def __init__(self, settings: Settings, stores: Mapping[str, IStore], reactor: Any) -> None:
        """@param stores: the server's stores by kind (see L{muccore.storage.registry.KINDS})."""
        self._settings = settings
        self._stores = stores
        self._reactor = reactor
        self.muc = MUCHandler(cast(IRoomStore, stores["rooms"]), mucOptions(settings))
        self.disco = AccountDiscoHandler(lambda: [(settings.muc.domain, self.muc.options.name)], settings.server.name)
        self.presence = PresenceHandler(settings.limits.directedPresences)
        self._builtin: dict[str, list[Any]] = {
            "server": [
                self.disco, AccountPingHandler(), self.presence, RosterHandler(), VersionHandler(), TimeHandler(),
            ],
            "muc": [DiscoInfoHandler(), PingHandler(), VersionHandler(), self.muc],
        }

    def make(self, section: str) -> Iterator[Any]:
        """
        Make the handlers of the domain that a section configures.

        @raise ConfigError: if a plugin does not make its handler.
        """
        yield from self._builtin[section]
        for description in getattr(self._settings, section).extraHandlers:
            yield self._makeExtra(section, description)

    def _makeExtra(self, section: str, description: HandlerDescription) -> Any:
        settings, name = self._settings, description.name
        options = settings.handlers.get(name, {})
        try:
            context = HandlerContext(description.argument, options, settings.base, self._reactor, self._stores)
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
        raise ConfigError([self._problem(section, problem)])

    def _problem(self, section: str, text: str) -> Problem:
        domain = getattr(self._settings, section).domain
        return self._settings.problem(section, "extra_handlers", f"{domain}: {_oneLine(text)}")

    def findProblems(self) -> Iterator[Problem]:
        """Find handlers that cannot be made, and tables that cannot be merged; no handler is added."""
        for section, domain in DOMAINS:
            added = list(self._builtin[section])
            streamFeatures = list(BINDING_FEATURES)
            for description in getattr(self._settings, section).extraHandlers:
                try:
                    handler = self._makeExtra(section, description)
                    merge([*added, handler], domain.bind, lambda element, to: None)
                    domain.checkFilters([handler])
                    if section == "server":
                        streamFeatures.extend(streamFeaturesOf(handler))
                        mergeNonzas(streamFeatures)
                except ConfigError as e:
                    yield from e.problems
                except InvalidHandler as e:
                    yield self._problem(section, str(e))
                else:
                    added.append(handler)


def streamFeaturesOf(handler: Any) -> Sequence[Any]:
    """The stream features of a handler, which may be one of wokkel's."""
    return getattr(handler, "streamFeatures", ())


def _oneLine(text: object) -> str:
    return " ".join(str(text).split())


def mucOptions(settings: Settings) -> MUCServiceSettings:
    """Return the options of the rooms."""
    muc = settings.muc
    return MUCServiceSettings(
        name=muc.name,
        localDomain=settings.server.domain,
        creation=muc.roomCreation,
        lockNewRooms=muc.lockNewRooms,
        roomsPerUser=muc.roomsPerUser,
        defaults=RoomSettings(
            public=muc.defaultPublic,
            persistent=muc.defaultPersistent,
            membersOnly=muc.defaultMembersOnly,
            moderated=muc.defaultModerated,
            nonAnonymous=muc.defaultWhois == "anyone",
            historyLength=muc.history,
        ),
        historyLimit=muc.historyLimit,
        maxUsersLimit=muc.maxUsersLimit,
        idleRooms=muc.idleRooms,
        grace=muc.temporaryRoomGrace,
        lockTimeout=muc.roomLockTimeout,
        presenceSize=muc.presenceSize,
    )
