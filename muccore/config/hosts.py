# -*- test-case-name: tests.config.test_hosts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The hosts of a configuration: the domain of C{[server]}, and one for each section C{[host NAME]}, declared here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twisted.python.filepath import FilePath

from muccore.config.option import option as _option
from muccore.config.plugins import HandlerDescription, HandlerType, StoreType
from muccore.config.types import Boolean, Choice, ContactAddress, HostName, ListOf, OptionalListOf, Path

if TYPE_CHECKING:
    from muccore.config.schema import Settings

Place = tuple[str, str]
"""A section and a key."""

ACCOUNT_STORES: Final = (
    "sqlite:PATH, postgresql://USER@HOST/DATABASE, memory:, insecure:, those of docs/external-accounts.md, "
    "or what an installed plugin provides"
)
"""The stores of accounts, in words."""


@dataclass(frozen=True)
class HostSection:
    """
    A further domain of accounts; there may be several of these sections. All other settings apply to it too.
    """

    certificate: FilePath[str] | None = _option(  # noqa: RUF009 (a field, like all others)
        Path(), "", "The certificate of this domain, followed by its chain, in PEM. Without it, that of [tls]."
    )
    privateKey: FilePath[str] | None = _option(  # noqa: RUF009 (a field, like all others)
        Path(), "", "The private key of the certificate, in PEM, unencrypted."
    )
    accounts: str = _option(
        StoreType("accounts", ACCOUNT_STORES, optional=True),
        "",
        "Where the accounts of this domain are. Without it, they are where those of [server] are; accounts of "
        "different domains do not mix there.",
    )
    anonymous: bool = _option(
        Boolean(),
        "no",
        "Whether guests may log in at this domain, without an account (SASL ANONYMOUS); [anonymous] limits them.",
    )
    muc: tuple[str, ...] = _option(
        ListOf(HostName()), "", "The domains of the rooms that users of this domain find. Each is a service of its own."
    )
    registration: str = _option(
        Choice("default", "closed", "invited", "open"),
        "default",
        "Who may register an account of this domain, as [registration] mode, which counts by default.",
    )
    contactAddresses: tuple[tuple[str, str], ...] | None = _option(
        OptionalListOf(ContactAddress()),
        "",
        "How users of this domain reach its operator. Without the key, as [server] says; with no value, not at all.",
    )
    extraHandlers: tuple[HandlerDescription, ...] | None = _option(
        OptionalListOf(HandlerType()),
        "",
        "Additional protocol handlers for this domain. Without the key, those of [server]; with no value, none.",
    )
    mucExtraHandlers: tuple[HandlerDescription, ...] | None = _option(
        OptionalListOf(HandlerType()),
        "",
        'Additional protocol handlers for the domains in "muc". Without the key, those of [muc]; with no value, none.',
    )


@dataclass(frozen=True)
class Host:
    """
    A domain of accounts, and what belongs to it.

    @ivar domain: the domain.
    @ivar certificate: its certificate, or C{None}.
    @ivar privateKey: the key of that.
    @ivar certificateAt: where the certificate is configured.
    @ivar accounts: the description of the store of its accounts.
    @ivar accountsAt: where that is configured.
    @ivar roomServices: the domains of its rooms.
    @ivar roomServicesAt: where they are configured.
    @ivar extraHandlers: the additional handlers of the domain.
    @ivar extraHandlersAt: where they are configured.
    @ivar mucExtraHandlers: those of each service of rooms.
    @ivar mucExtraHandlersAt: where they are configured.
    @ivar contactAddresses: the addresses of its operator, each with what it is for.
    @ivar anonymous: whether it has guests.
    @ivar registration: who may register an account.
    @ivar pubSubServices: the domains of its publish-subscribe services.
    """

    domain: str
    certificate: FilePath[str] | None
    privateKey: FilePath[str] | None
    certificateAt: Place
    accounts: str
    accountsAt: Place
    roomServices: tuple[str, ...]
    roomServicesAt: Place
    extraHandlers: tuple[HandlerDescription, ...]
    extraHandlersAt: Place
    mucExtraHandlers: tuple[HandlerDescription, ...]
    mucExtraHandlersAt: Place
    contactAddresses: tuple[tuple[str, str], ...] = ()
    anonymous: bool = False
    registration: str = "closed"
    pubSubServices: tuple[str, ...] = ()


def hostsOf(settings: Settings) -> tuple[Host, ...]:
    """The hosts of a configuration; the first is that of C{[server]}, from which the others take what they lack."""
    backend, default = settings.auth.backend, settings.storage.default
    first = Host(
        settings.server.domain,
        settings.tls.certificate,
        settings.tls.privateKey,
        ("tls", "certificate"),
        backend or default,
        ("storage", "default") if default and not backend else ("auth", "backend"),
        settings.muc.domain,
        ("muc", "domain"),
        settings.server.extraHandlers,
        ("server", "extra_handlers"),
        settings.muc.extraHandlers,
        ("muc", "extra_handlers"),
        settings.server.contactAddresses,
        settings.auth.anonymous,
        settings.registration.mode,
        settings.pubsub.domain,
    )
    found = [first]
    for domain, section in settings.named["host"].items():
        title = f"host {domain}"
        own = section.certificate is not None
        handlers, mucHandlers, contacts = section.extraHandlers, section.mucExtraHandlers, section.contactAddresses
        found.append(
            Host(
                domain,
                section.certificate if own else first.certificate,
                section.privateKey if own else first.privateKey,
                (title, "certificate") if own else first.certificateAt,
                section.accounts or first.accounts,
                (title, "accounts") if section.accounts else first.accountsAt,
                section.muc,
                (title, "muc"),
                first.extraHandlers if handlers is None else handlers,
                first.extraHandlersAt if handlers is None else (title, "extra_handlers"),
                first.mucExtraHandlers if mucHandlers is None else mucHandlers,
                first.mucExtraHandlersAt if mucHandlers is None else (title, "muc_extra_handlers"),
                first.contactAddresses if contacts is None else contacts,
                section.anonymous,
                first.registration if section.registration == "default" else section.registration,
            )
        )
    return tuple(found)
