# -*- test-case-name: tests.operations.test_links -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{muccorectl links}: the streams with other servers."""

from __future__ import annotations

from typing import Final

from muccore.config.schema import Settings
from muccore.operations.controlclient import exclusively
from muccore.operations.refused import Refused

NAME: Final = "links"
HELP: Final = "list the streams with other servers, and the domains that cannot be reached"


def listLinks(settings: Settings) -> list[str]:
    """
    List what the running server has.

    @return: lines of output.
    @raise Refused: if no server is running.
    """
    with exclusively(settings) as server:
        if server is None:
            raise Refused("no server is running")
        return server.request(NAME)
