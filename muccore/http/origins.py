# -*- test-case-name: tests.http.test_bosh,tests.http.test_websocket -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The origins whose pages may connect to the server.

Browsers send the origin of a page. Without a list of allowed ones, any page could use the reader's access to a server
on their own machine or network. Other programs send no origin, and are let in.
"""

from __future__ import annotations

from collections.abc import Container

from twisted.web.iweb import IRequest

from muccore.http.headers import headerValues


def originsOf(request: IRequest) -> str:
    """What a request claims as its origin, for logs."""
    return ", ".join(headerValues(request, "Origin")) or "-"


def isOriginAllowed(request: IRequest, allowed: Container[str], names: Container[str]) -> bool:
    """
    Whether the page that a request comes from, if it comes from one, may connect: that of an allowed origin, or of this
    site, at whatever port.

    @param allowed: origins, in lower case; C{"*"} allows all.
    @param names: the names of this server in DNS.
    """
    host = ",".join(headerValues(request, "Host")).lower()
    own = {f"https://{host}", f"http://{host}"} if host.partition(":")[0] in names else set()
    origins = {origin.lower() for origin in headerValues(request, "Origin")}
    return "*" in allowed or all(origin in allowed or origin in own for origin in origins)
