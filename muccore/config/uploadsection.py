# -*- test-case-name: tests.config.test_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The section C{[upload]} of the configuration; L{muccore.config.schema} has the others."""

from __future__ import annotations

from dataclasses import dataclass

from muccore.config.option import option as _option
from muccore.config.plugins import StoreType
from muccore.config.types import HTTPSURL, Duration, Integer, Size


@dataclass(frozen=True)
class UploadSection:
    """Files that users upload (XEP-0363), at /upload of the HTTP site over HTTPS: docs/uploads.md."""

    store: str = _option(
        StoreType("uploads", "files:PATH, memory:, or what an installed plugin provides", optional=True),
        "",
        'Where the files are. "files:PATH" keeps them in a folder of their own, with an index; "memory:" loses them '
        "when the server ends. Without it nobody can upload.",
    )
    publicUrl: str = _option(
        HTTPSURL(),
        "",
        "The URL under which clients reach /upload, if it is not that of [http] public_url: with a host name of their "
        "own, no page of yours can be confused with a file of a user.",
    )
    fileSize: int = _option(Size("1 KiB", "1024 GiB"), "50 MiB", "The largest file.")
    userQuota: int = _option(
        Size("1 KiB", "1024 GiB"), "500 MiB", "The maximum of bytes of all files of one account that are stored."
    )
    totalQuota: int = _option(Size("1 MiB", "1024 GiB"), "20 GiB", "The maximum of bytes of all files together.")
    retention: float = _option(
        Duration("0 s", "3650 d"), "30 d", "The time for which a file is kept. 0: until its account is removed."
    )
    filesPerMinute: int = _option(
        Integer(1, 10000), "30", "The maximum of files that one account may upload in a minute."
    )
