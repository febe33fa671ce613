# -*- test-case-name: tests.config.test_validation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Checks of options against each other.

A check is a generator that takes the settings and yields C{(section, key, text)} for each problem. Some values may be
unreadable; using one of them ends the check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, cast

from muccore.config.endpoints import ListenKey, endpointsOf, isEphemeral, isLocal
from muccore.config.errors import quoted
from muccore.config.hosts import ACCOUNT_STORES, hostsOf
from muccore.config.plugins import globalReactor
from muccore.config.roomfields import newRoom
from muccore.config.schema import Settings
from muccore.config.storage import ROW_STORES, placeOf
from muccore.interfaces import BadDescription, IAuthBackend
from muccore.storage.registry import hasScheme, makeStore
from muccore.xmpp.errors import StanzaError

Finding = tuple[str, str, str]
"""Section, option (C{""} for none) and text of a problem."""

_LOOPBACK: Final = "end the endpoint with :interface=127.0.0.1"


def _exposed(settings: Settings, *options: str) -> Iterator[tuple[str, str, str]]:
    """Clients' endpoints of some options, with section and option, that are not on a loopback address."""
    return (key for key in _ofClients(settings) if key[1] in options and not isLocal(key[2]))


def _ofClients(settings: Settings) -> list[ListenKey]:
    return [key for key in endpointsOf(settings) if key[0] not in ("components", "s2s")]


def _checkEndpoints(settings: Settings) -> Iterator[Finding]:
    """Require an endpoint, and none twice."""
    keys = endpointsOf(settings)
    everything = [endpoint for _, _, endpoint in keys]
    if not _ofClients(settings):
        yield "c2s", "listen", "found no endpoint here, in direct_tls_listen or in [http]; allowed: at least one"
    for section, option, endpoint in sorted(set(keys)):
        if everything.count(endpoint) > 1 and not isEphemeral(endpoint):
            yield section, option, f"found {quoted(endpoint)} more than once in all sections; allowed: once"


def _checkEncryption(settings: Settings) -> Iterator[Finding]:
    """Require encryption on addresses that are not loopback, for passwords at least."""
    exposed = next(_exposed(settings, "listen"), None)
    if exposed is None:
        return
    section, _, endpoint = exposed
    where = f"where [{section}] listen has {quoted(endpoint)}, which is not on a loopback address"
    if settings.c2s.tls == "off":
        yield "c2s", "tls", f"found 'off' {where}; allowed there: required, optional (or {_LOOPBACK})"
    elif settings.c2s.tls == "optional" and settings.c2s.allowPlaintextAuth:
        text = f"found 'yes' with tls = optional {where}; allowed there: no (or set tls = required, or {_LOOPBACK})"
        yield "c2s", "allow_plaintext_auth", text


def _checkCertificate(settings: Settings) -> Iterator[Finding]:
    """Require a certificate for TLS, and a key for a certificate."""
    if settings.c2s.tls != "off":
        need = f"needed for [c2s] tls = {settings.c2s.tls}"
    elif settings.c2s.directTlsListen:
        need = "needed for [c2s] direct_tls_listen"
    elif settings.http.tlsListen:
        need = "needed for [http] tls_listen"
    elif (settings.s2s.listen and settings.s2s.tls == "required") or settings.s2s.directTlsListen:
        need = "needed for [s2s]"
    else:
        need = ""
    pairs = [("tls", settings.tls, need)]
    pairs += [(f"host {domain}", section, "") for domain, section in settings.named["host"].items()]
    for at, section, need in pairs:
        certificate, privateKey = section.certificate, section.privateKey
        if certificate is None and (need or privateKey is not None):
            yield at, "certificate", f"found nothing; allowed: the path of a file, {need or 'needed with private_key'}"
        if privateKey is None and (need or certificate is not None):
            yield at, "private_key", f"found nothing; allowed: the path of a file, {need or 'needed with certificate'}"


def _checkStorage(settings: Settings) -> Iterator[Finding]:
    """Require a place for accounts and rooms, and one that can be used for what has none of its own."""
    storage = settings.storage
    if storage.rooms and storage.affiliations:
        text = 'found it beside "rooms", of which it is the older name; allowed: one of them'
        yield "storage", "affiliations", text
    for (section, key), kind, found, allowed in (
        (("auth", "backend"), "accounts", settings.auth.backend, ACCOUNT_STORES),
        (("storage", "rooms"), "rooms", storage.rooms or storage.affiliations, ROW_STORES),
    ):
        if not found and not storage.default:
            hint = " (or set [storage] default)"
            yield section, key, f"found nothing, and there is no default; allowed: {allowed}{hint}"
        elif not found and not hasScheme(kind, storage.default):
            yield "storage", "default", f"found a store that has no {kind}; allowed: another, or with [{section}] {key}"
    place, archive = placeOf(storage, "archive")
    if place == ("storage", "default"):
        try:
            makeStore("archive", archive, settings.base, globalReactor())
        except BadDescription as e:
            yield *place, f"found a store that cannot have the archive ({e}); allowed: such a store, or with archive ="


def _accountStores(settings: Settings) -> Iterator[tuple[tuple[str, str], str, IAuthBackend]]:
    """The stores of accounts, with places and descriptions; those that cannot be made are found elsewhere."""
    for place, backend in {host.accountsAt: host.accounts for host in hostsOf(settings)}.items():
        if hasScheme("accounts", backend):
            yield place, backend, cast(IAuthBackend, makeStore("accounts", backend, settings.base, globalReactor()))


def _checkInsecureAuth(settings: Settings) -> Iterator[Finding]:
    """Refuse insecure authentication on addresses that are not loopback."""
    exposed = next(_exposed(settings, "listen", "direct_tls_listen", "tls_listen"), None)
    for (section, key), backend, accounts in _accountStores(settings):
        if getattr(accounts, "loopbackOnly", False) and exposed is not None:
            at, _, endpoint = exposed
            yield (
                section,
                key,
                f"found {quoted(backend)}, which accepts any password, where [{at}] listens on {quoted(endpoint)}, "
                f"which is not on a loopback address; allowed there: sqlite:PATH, memory: (or {_LOOPBACK})",
            )


def _checkPasswords(settings: Settings) -> Iterator[Finding]:
    """Require TLS where there are only passwords, unless they may go without."""
    c2s = settings.c2s
    if c2s.tls != "off" or c2s.directTlsListen or settings.http.listen or settings.http.tlsListen:
        # [http] listen may be behind a proxy with TLS.
        return
    if c2s.allowPlaintextAuth:
        return
    for (section, key), backend, accounts in _accountStores(settings):
        if not accounts.hashes and not accounts.loopbackOnly:
            found = quoted(backend.partition("\n")[0])
            text = f"found {found}, which needs the password itself, where [c2s] tls = off; allowed there: sqlite:PATH"
            yield section, key, f"{text} (or set tls = required)"


def _checkSizes(settings: Settings) -> Iterator[Finding]:
    """Require room for a whole stanza."""
    size, early = settings.limits.stanzaSize, settings.limits.stanzaSizeUnauthenticated
    outbox = settings.transport.outboxLimit
    if early > size:
        text = f"found {early} bytes; allowed: at most stanza_size, {size} bytes"
        yield "limits", "stanza_size_unauthenticated", text
    if outbox < size:
        text = f"found {outbox} bytes; allowed: at least [limits] stanza_size, {size} bytes"
        yield "transport", "outbox_limit", text


def _checkDomains(settings: Settings) -> Iterator[Finding]:
    """Require a different domain for each host, service and component."""
    hosts = hostsOf(settings)
    taken = {hosts[0].domain: "[server] domain"}
    for domain in settings.named["host"]:
        if domain in taken:
            yield f"host {domain}", "", f"found the domain of {taken[domain]}; allowed: another domain"
        taken[domain] = f"[host {domain}]"
    for host in hosts:
        section, key = host.roomServicesAt
        for service in host.roomServices:
            if service in taken:
                text = f"a domain other than that of {taken[service]}, such as conference.{host.domain}"
                yield section, key, f"found {quoted(service)}; allowed: {text}"
            taken[service] = f"[{section}] {key}"
    for service in settings.pubsub.domain:
        if service in taken:
            text = f"a domain other than that of {taken[service]}, such as pubsub.{hosts[0].domain}"
            yield "pubsub", "domain", f"found {quoted(service)}; allowed: {text}"
        taken[service] = "[pubsub] domain"
    for name in settings.named["component"]:
        if name in taken:
            yield f"component {name}", "", f"found the domain of {taken[name]}; allowed: another domain"


def _checkPubSub(settings: Settings) -> Iterator[Finding]:
    """Require a store for the nodes of publish-subscribe services."""
    places = (placeOf(settings.storage, "pubsub")[1], settings.auth.backend)
    if settings.pubsub.domain and not any(place and hasScheme("pubsub", place) for place in places):
        found = quoted(settings.pubsub.domain[0])
        yield "pubsub", "domain", f"found {found}, but no store for its nodes; set [storage] pubsub"


def _checkComponents(settings: Settings) -> Iterator[Finding]:
    """Require an endpoint for components."""
    if settings.named["component"] and not settings.components.listen:
        yield "components", "listen", "found nothing; allowed with a [component NAME]: at least one endpoint"


def _checkUploads(settings: Settings) -> Iterator[Finding]:
    """Require that clients reach the files over HTTPS (XEP-0363 §4)."""
    upload, http = settings.upload, settings.http
    if upload.store and not (http.tlsListen or (http.listen and (upload.publicUrl or http.publicUrl))):
        text = "found a store, and no way to it over HTTPS; allowed with [http] tls_listen, or listen with public_url"
        yield "upload", "store", text


def _checkExternalServices(settings: Settings) -> Iterator[Finding]:
    """Require domains of accounts."""
    known = [host.domain for host in hostsOf(settings)]
    for domain in settings.external_services.domains:
        if domain not in known:
            yield "external_services", "domains", f"found {quoted(domain)}; allowed: {', '.join(known)}"


def _checkHistory(settings: Settings) -> Iterator[Finding]:
    """Limit the history of new rooms to what an owner can set."""
    history, most = settings.muc.history, settings.muc.historyLimit
    if history > most:
        yield "muc", "history", f"found {history}; allowed: at most history_limit, {most}"


def _checkRoomDefaults(settings: Settings) -> Iterator[Finding]:
    """Require of the defaults of rooms what is required of their owners."""
    try:
        newRoom(settings.muc, False)
    except StanzaError as e:
        yield "muc", "room_defaults", f"found {e.text}"


CHECKS: Final[tuple[Callable[[Settings], Iterator[Finding]], ...]] = (
    _checkEndpoints,
    _checkEncryption,
    _checkCertificate,
    _checkStorage,
    _checkInsecureAuth,
    _checkPasswords,
    _checkSizes,
    _checkDomains,
    _checkPubSub,
    _checkComponents,
    _checkUploads,
    _checkExternalServices,
    _checkHistory,
    _checkRoomDefaults,
)
"""Every check."""
