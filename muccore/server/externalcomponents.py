# -*- test-case-name: tests.server.test_externalcomponents -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The external components (XEP-0114) of a server, by its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from muccore.config.schema import Settings
from muccore.log.logger import Logger
from muccore.net.flush import FlushScheduler
from muccore.routing.component import Component
from muccore.routing.router import Router
from muccore.stream.c2s import StreamSettings
from muccore.stream.component import ComponentAccess, ComponentFactory
from muccore.xmpp.errors import StreamError

_log = Logger()


class ExternalComponents:
    """
    The components that may connect.

    @ivar streams: the factory of their streams.
    """

    def __init__(self, settings: Settings, router: Router, clock: FlushScheduler, streams: StreamSettings) -> None:
        """@param streams: the settings of clients' streams."""
        self._router = router
        self._clock = clock
        self._components: dict[str, Component] = {}
        self.streams = ComponentFactory(clock, {}, streams)
        self.reconfigure(settings, streams)

    def reconfigure(self, settings: Settings, streams: StreamSettings) -> None:
        """Apply a new configuration; end the streams of components that are not in it."""
        sections = settings.named["component"]
        for name in self._components.keys() - sections.keys():
            self._router.removeDomain(name)
            self._components.pop(name).disconnect(StreamError("host-gone"))
        for name in sections.keys() - self._components.keys():
            if name in self._router.domains:
                _log.warn("component {name}: the domain is in use until the next start", name=name)
                continue
            self._components[name] = component = Component(name, self._router, self._clock)
            self._router.addDomain(component)
        access = {
            name: ComponentAccess(component, sections[name].secret) for name, component in self._components.items()
        }
        # A component that only receives is silent for long, and one that sends speaks for many users.
        ofComponents = replace(streams, idleTimeout=0, stanzaCost=0, addressRate=0)
        self.streams.reconfigure(access, ofComponents)

    def connected(self) -> Iterator[str]:
        """The domains of the components that are connected."""
        return (name for name, component in self._components.items() if component.stream is not None)
