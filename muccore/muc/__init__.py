# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 4: Multi-User Chat (XEP-0045)."""
