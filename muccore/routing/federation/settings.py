# Copyright (c) The muccore authors. See LICENSE for details.
"""The settings of federation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from muccore.net.serverdns import Target


@dataclass(frozen=True)
class FederationSettings:
    """
    Limits and times of links. Sizes are in bytes, times in seconds.

    @ivar queueStanzas: kept by a link while its stream is opened.
    @ivar queueBytes: the same, in bytes.
    @ivar connectTimeout: for opening a stream, with everything that belongs to it.
    @ivar idleTimeout: after which an unused stream is closed; 0 for never.
    @ivar pingInterval: after which a peer that was sent something and is silent is pinged; 0 for never.
    @ivar grace: after the loss of a stream, until its domain is reported lost.
    @ivar rate: bytes a second read from a domain in the long run; 0 for no limit.
    @ivar burst: bytes read at once beyond that.
    @ivar routes: the servers of domains that are not looked up.
    """

    queueStanzas: int = 5000
    queueBytes: int = 1024 * 1024
    connectTimeout: float = 60.0
    idleTimeout: float = 600.0
    pingInterval: float = 120.0
    grace: float = 60.0
    rate: int = 0
    burst: int = 1024 * 1024
    routes: Mapping[str, Sequence[Target]] = field(default_factory=dict)
