# -*- test-case-name: tests.http.test_mounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The paths at which resources are added to the site."""

from __future__ import annotations

import re
from typing import Final

from twisted.web.resource import IResource

from muccore.interfaces.http import HTTPResource

_PATH: Final = re.compile(r"/|(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")


class Mounts:
    """The added resources by path. C{/} is one resource; the others cover what is below them too."""

    def __init__(self) -> None:
        self._added: dict[bytes, HTTPResource] = {}

    def add(self, added: HTTPResource) -> bytes:
        """
        Add a resource; return its path.

        @raise ValueError: see L{IHTTPSite.addResource<muccore.interfaces.http.IHTTPSite.addResource>}.
        """
        if _PATH.fullmatch(added.path) is None or {"..", "."} & set(added.path.split("/")):
            raise ValueError(f"{added.path!r} is no path of a resource; allowed: one such as /status or /api/status")
        if not IResource.providedBy(added.resource):
            raise ValueError(f"what is added at {added.path} is no resource of twisted.web")
        path = added.path.encode("ascii")
        if any(_covers(path, other) or _covers(other, path) for other in self._added):
            raise ValueError(f"the path {added.path} of a resource is taken")
        self._added[path] = added
        return path

    def find(self, path: bytes) -> HTTPResource | None:
        """The resource that a path, with or without a query, is at or below; C{None} if there is none."""
        path = path.partition(b"?")[0]
        # There are few.
        return next((added for mount, added in self._added.items() if _covers(mount, path)), None)


def _covers(mount: bytes, path: bytes) -> bool:
    return path == mount or (mount != b"/" and path.startswith(mount + b"/"))
