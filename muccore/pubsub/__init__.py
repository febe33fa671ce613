# Copyright (c) The muccore authors. See LICENSE for details.
"""
Floor 4: publish-subscribe (XEP-0060), for the accounts of users (PEP, XEP-0163) and as a service.

The rules are in C{model}; the requests, and who hears of what, in the modules here (docs/design/0038).
"""
