# Copyright (c) The muccore authors. See LICENSE for details.
"""Service administration by ad-hoc commands (XEP-0133), and invitations by them (XEP-0401)."""
