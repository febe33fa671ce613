# -*- test-case-name: tests.server.test_uploads -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Assembly of the uploads of files."""

from __future__ import annotations

from typing import Any, Final

from muccore.config.schema import Settings
from muccore.http.upload.resource import RATE, UploadResource
from muccore.http.upload.service import PATH, Uploads, UploadSettings
from muccore.interfaces.http import HTTPResource, RequestLimits
from muccore.interfaces.uploads import READ_SIZE
from muccore.server.stores import ServerStores
from muccore.xmpp.datetimes import timeOfDay

_ANY_SIZE: Final = 2**62
"""A body is as large as its slot."""


def makeUploads(settings: Settings, stores: ServerStores, clock: Any) -> Uploads | None:
    """Make the uploads of all hosts, which need a site; C{None} without a store."""
    if stores.uploads is None:
        return None
    return Uploads(stores.uploads, uploadSettings(settings), clock, timeOfDay(clock))


def uploadSettings(settings: Settings) -> UploadSettings:
    """The settings of uploads from the configuration."""
    section = settings.upload
    return UploadSettings(
        fileSize=section.fileSize,
        ownerQuota=section.userQuota,
        totalQuota=section.totalQuota,
        retention=section.retention,
        slotsPerMinute=section.filesPerMinute,
        publicURL=section.publicUrl,
        # What is not sent yet must not exceed the outbox.
        readSize=min(READ_SIZE, settings.transport.outboxLimit // 2),
    )


def uploadResource(uploads: Uploads) -> HTTPResource:
    """The files as a resource of the site."""
    return HTTPResource(PATH, UploadResource(uploads), "Files of users (XEP-0363)", RequestLimits(_ANY_SIZE, RATE))
