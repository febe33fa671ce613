# Copyright (c) The muccore authors. See LICENSE for details.
"""
muccore: an XMPP server whose heart is group chat (XEP-0045).

The drawing of the house is C{docs/design/0001-the-house.md}.
"""

from muccore import compat as _compat

__version__ = "0.1.0"

_compat.install()
