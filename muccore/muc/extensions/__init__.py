# Copyright (c) The muccore authors. See LICENSE for details.
"""Extensions of rooms, one module each (L{muccore.muc.model.extension})."""

from typing import Final

from muccore.interfaces import IArchiveStore, IAuditStore
from muccore.muc.extensions.absentmembers import AbsentMembers
from muccore.muc.extensions.accountarchives import AccountArchives
from muccore.muc.extensions.activity import ActivityIndicator
from muccore.muc.extensions.adhoccommands import AdHocCommands
from muccore.muc.extensions.affiliationversions import AffiliationVersions
from muccore.muc.extensions.archive import RoomArchive
from muccore.muc.extensions.audit import AuditTrail
from muccore.muc.extensions.blocking import Blocking
from muccore.muc.extensions.blocklists import BlockLists
from muccore.muc.extensions.channelsearch import ChannelSearch
from muccore.muc.extensions.contentrules import ContentRules
from muccore.muc.extensions.correction import Correction
from muccore.muc.extensions.explicitmentions import ExplicitMentions
from muccore.muc.extensions.hats import Hats
from muccore.muc.extensions.invitationpreferences import InvitationPreferences
from muccore.muc.extensions.membershiprequests import MembershipRequests
from muccore.muc.extensions.moderation import ModeratedRetraction
from muccore.muc.extensions.occupantids import OccupantIds
from muccore.muc.extensions.ownrooms import OwnRooms
from muccore.muc.extensions.privateinvitations import PrivateInvitations
from muccore.muc.extensions.relayedrequests import RelayedRequests
from muccore.muc.extensions.retraction import Retraction
from muccore.muc.extensions.roomlimits import RoomLimits
from muccore.muc.extensions.slowmode import SlowMode
from muccore.muc.extensions.stanzaids import StanzaIds
from muccore.muc.extensions.timedprivileges import TimedPrivileges
from muccore.muc.extensions.uniquenames import UniqueNames
from muccore.muc.extensions.vcards import VCards
from muccore.muc.model.extension import ExtensionField, RoomExtension
from muccore.muc.service.servicesettings import MUCServiceSettings

STANDARD_FIELDS: Final[tuple[ExtensionField, ...]] = tuple(
    row
    for each in (BlockLists, RoomArchive, AbsentMembers, ExplicitMentions, ContentRules, RoomLimits, SlowMode)
    for row in each.fields
)
"""The fields of the configuration form that these extensions have, if they are used."""


def standardExtensions(
    options: MUCServiceSettings, archive: IArchiveStore | None = None, audit: IAuditStore | None = None
) -> list[RoomExtension]:
    """
    Make the extensions of the rooms of one service, in the order in which they are asked.

    @param archive: where messages are archived; C{None}: nowhere.
    @param audit: where audit trails are kept; C{None}: nowhere.
    """
    audits = [] if audit is None else [AuditTrail(audit, options.auditRetention)]
    archives = [] if archive is None else [RoomArchive(archive, options.archiveRetention)]
    blockLists = [BlockLists(options.blockLists)] if options.blockLists else []
    return [
        *blockLists,
        OccupantIds(),
        StanzaIds(),
        *archives,
        *audits,
        Hats(),
        # Before what changes affiliations of a room that is being loaded.
        AffiliationVersions(),
        TimedPrivileges(),
        AdHocCommands(),
        RelayedRequests(),
        ModeratedRetraction(),
        VCards(),
        UniqueNames(),
        Blocking(),
        AccountArchives(),
        Correction(),
        MembershipRequests(),
        ChannelSearch(),
        OwnRooms(),
        AbsentMembers(),
        PrivateInvitations(),
        InvitationPreferences(),
        ExplicitMentions(),
        ActivityIndicator(),
        # What limits messages comes last: one that is refused for another reason does not count.
        ContentRules(),
        RoomLimits(),
        SlowMode(),
        # The last one: what others refuse is not retracted.
        Retraction(),
    ]
