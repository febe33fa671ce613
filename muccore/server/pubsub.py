# -*- test-case-name: tests.server.test_pubsub -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Publish-subscribe, made from the configuration: what users publish, and services with domains of their own."""

from __future__ import annotations

from collections.abc import Iterable

from muccore.config.schema import Settings
from muccore.im.presence import PresenceHandler
from muccore.interfaces import IPubSubStore, IUserDataStore
from muccore.pubsub.avatars import Avatars
from muccore.pubsub.bookmarks import Bookmarks
from muccore.pubsub.domain import PubSubDomainHandler, ServiceSettings
from muccore.pubsub.model.configuration import Limits
from muccore.pubsub.pep import PEPHandler
from muccore.server.userdata import UserDataHandlers
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID


def followPresence(pep: PEPHandler, presence: PresenceHandler) -> None:
    """Let personal eventing learn who is there."""
    presence.presentObservers.append(pep.followers.sessionPresent)
    presence.goneObservers.append(pep.followers.sessionGone)


def convert(pep: PEPHandler, userData: UserDataHandlers, documents: IUserDataStore) -> None:
    """
    Let bookmarks and avatars be the same wherever clients keep them.

    @param documents: where private XML storage is.
    """
    bookmarks = Bookmarks(pep, documents)
    pep.joinBookmarks(bookmarks)
    userData.privateStorage.bookmarks = bookmarks
    avatars = Avatars(pep, userData.vCards.setPhoto)
    pep.joinAvatars(avatars)
    userData.vCards.photoObservers.append(avatars.vCardChanged)


def makeServices(store: IPubSubStore, domains: Iterable[str], settings: Settings) -> dict[str, PubSubDomainHandler]:
    """Make the handlers of services, by domain."""
    return {domain: PubSubDomainHandler(store, pubSubSettings(settings)) for domain in domains}


def pubSubLimits(settings: Settings) -> Limits:
    """How much an account may publish."""
    users = settings.users
    return Limits(users.pubsubNodes, users.pubsubItems, users.pubsubItemSize, users.pubsubData)


def pubSubSettings(settings: Settings) -> ServiceSettings:
    """The settings of publish-subscribe services."""
    section = settings.pubsub
    local = {host.domain for host in settings.hosts}
    guests = {host.domain for host in settings.hosts if host.anonymous}

    def mayCreate(sender: JID) -> bool:
        if section.creation == "nobody" or (sender.domain in guests and isGuestName(sender.local)):
            return False
        return section.creation == "anyone" or (bool(sender.local) and sender.domain in local)

    limits = Limits(section.nodes, section.items, section.itemSize, None, section.subscriptions)
    return ServiceSettings(section.name, limits, section.nodesPerUser, mayCreate)
