# Copyright (c) The muccore authors. See LICENSE for details.
"""The cases of Smack 4.5 that concern what muccore announces, and what is known about those that fail."""

from __future__ import annotations

from collections.abc import Mapping

CASES: Mapping[str, str] = {
    "FormTest": "XEP-0004",
    "MultiUserChatLowLevelIntegrationTest": "XEP-0048",
    "MultiUserChatEntityIntegrationTest": "XEP-0045",
    "MultiUserChatIntegrationTest": "XEP-0045",
    "MultiUserChatOccupantIntegrationTest": "XEP-0045",
    "MultiUserChatRolesAffiliationsPrivilegesIntegrationTest": "XEP-0045",
    "ParticipantStatusIntegrationTest": "XEP-0045",
    "UserStatusIntegrationTest": "XEP-0045",
    "FileTransferIntegrationTest.ibbFileTransferTest": "XEP-0047",
    "AdHocCommandIntegrationTest": "XEP-0050",
    "ChatStateIntegrationTest": "XEP-0085",
    "VersionIntegrationTest": "XEP-0092",
    "EntityCapsTest": "XEP-0115",
    "SoftwareInfoIntegrationTest": "XEP-0115",
    "StreamManagementTest": "XEP-0198",
    "PingIntegrationTest": "XEP-0199",
    "LoginIntegrationTest": "RFC 6120",
    "ModularXmppClientToServerConnectionLowLevelIntegrationTest": "RFC 6120",
    "SimpleXmppConnectionIntegrationTest": "RFC 6120",
    "WaitForClosingStreamElementTest": "RFC 6120",
    "XmppConnectionIntegrationTest": "RFC 6120",
    "ChatTest": "RFC 6121",
    "IncomingMessageListenerIntegrationTest": "RFC 6121",
    "LowLevelRosterIntegrationTest": "RFC 6121",
    "OutgoingMessageListenerIntegrationTest": "RFC 6121",
    "RosterIntegrationTest": "RFC 6121",
}
"""Classes, or single cases, and the specification that they test. Others need PEP or archives of accounts."""

_EARLY = "join() wakes the test before it has told listeners of a presence that the test then takes for a later one"
_REJOINING = "a join() right after leave() waits with a lock that the reading thread needs for the leave"
_ERROR = "join() removes the listener from which the test expects the error that join() raises"

_OCCUPANT = "MultiUserChatOccupantIntegrationTest"
_ROLES = "MultiUserChatRolesAffiliationsPrivilegesIntegrationTest"

RACES: Mapping[str, str] = {
    f"{_OCCUPANT}.mucChangeNicknameInformationTest": _EARLY,
    f"{_OCCUPANT}.mucJoinPresenceInformationTest": _EARLY,
    f"{_OCCUPANT}.mucLeaveTest": _REJOINING,
    f"{_OCCUPANT}.mucMaxUsersLimitJoinRoomTest": _ERROR,
    f"{_ROLES}.mucPresenceTestForGettingKicked": _EARLY,
    f"{_ROLES}.mucPresenceTestForWitnessingKick": _EARLY,
    f"{_ROLES}.mucTestPersistentAffiliation": _REJOINING,
}
"""Cases that fail at times because of a race in Smack or in the case, and the race. These are tried again."""
