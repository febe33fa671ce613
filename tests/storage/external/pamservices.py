# Copyright (c) The muccore authors. See LICENSE for details.
"""Services of PAM for tests, with real libraries and modules but without root, by C{libpam-wrapper}."""

from __future__ import annotations

import glob
import os

_LIBRARY = next(iter(glob.glob("/usr/lib/*/libpam_wrapper.so")), None)
_MATRIX = next(iter(glob.glob("/usr/lib/*/pam_wrapper/pam_matrix.so")), None)

SKIP = None if _LIBRARY and _MATRIX else "Debian's package libpam-wrapper is not installed"

PASSWORDS = {"juliet": "r0m30-&", "romeo": "jül1et"}

_SERVICES = {
    "xmpp": "auth required {matrix} passdb={passdb}\naccount required {matrix} passdb={passdb}\n",
    "noentry": "auth required {matrix} passdb={passdb}\naccount required pam_deny.so\n",
    "denied": "auth required pam_deny.so\naccount required pam_permit.so\n",
    "broken": "auth required /nowhere/pam_missing.so\naccount required /nowhere/pam_missing.so\n",
    "other": "auth required pam_deny.so\naccount required pam_deny.so\n",
    "twice": "auth required {matrix} passdb={passdb}\nauth required {matrix} passdb={passdb}\n"
             "account required pam_permit.so\n",
}  # fmt: skip


def environment(folder: str) -> dict[str, str]:
    """Write the services into a folder; return the variables with which a program finds them."""
    services = os.path.join(folder, "services")
    os.makedirs(services)
    passdb = os.path.join(folder, "passdb")
    with open(passdb, "w", encoding="utf-8") as file:
        for user, password in PASSWORDS.items():
            for service in _SERVICES:
                print(user, password, service, sep=":", file=file)
    for name, text in _SERVICES.items():
        with open(os.path.join(services, name), "w") as file:
            file.write(text.format(matrix=_MATRIX, passdb=passdb))
    assert _LIBRARY is not None
    return {"LD_PRELOAD": _LIBRARY, "PAM_WRAPPER": "1", "PAM_WRAPPER_SERVICE_DIR": services}
