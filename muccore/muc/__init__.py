# Copyright (c) The muccore authors. See LICENSE for details.
"""
Multi-User Chat (XEP-0045).
"""
