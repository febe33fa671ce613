# Copyright (c) The muccore authors. See LICENSE for details.
"""HTTP File Upload (XEP-0363): users get slots by XMPP, and put and get files by HTTP."""
