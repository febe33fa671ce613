# -*- test-case-name: tests.services.test_contacts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Contact addresses of the server (XEP-0157)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wokkel import data_form

from muccore.routing.handler import Handler
from muccore.xmpp import ns
from muccore.xmpp.specs import Spec


class ContactHandler(Handler):
    """
    Adds the addresses to C{disco#info} of its domain.

    @ivar addresses: the URIs, each with what it is for: C{abuse}, C{admin}, C{feedback}, C{sales}, C{security},
        C{status} or C{support}.
    """

    implements = (Spec(157, "Contact Addresses for XMPP Services", "1.1.1"),)

    def __init__(self, addresses: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.addresses = addresses

    def getDiscoInfo(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Sequence[Any]:
        """See C{IDisco}: a form, if there is an address."""
        if target.user or nodeIdentifier or not self.addresses:
            return []
        uris: dict[str, list[str]] = {}
        for purpose, uri in self.addresses:
            uris.setdefault(purpose, []).append(uri)
        fields = [
            data_form.Field("list-multi", f"{purpose}-addresses", values=uris[purpose]) for purpose in sorted(uris)
        ]
        return [data_form.Form("result", formNamespace=ns.SERVER_INFO, fields=fields)]
