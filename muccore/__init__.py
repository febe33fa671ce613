# Copyright (c) The muccore authors. See LICENSE for details.
"""
muccore: an XMPP server whose heart is group chat (XEP-0045).

The architecture is described in C{docs/ARCHITECTURE.md}.
"""

from muccore import compat as _compat

__version__ = "0.1.0"

_compat.install()
