# Copyright (c) The muccore authors. See LICENSE for details.
"""
Subprotocol handlers, one protocol each.
"""
