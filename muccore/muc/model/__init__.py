# Copyright (c) The muccore authors. See LICENSE for details.
"""The rules of rooms (XEP-0045): no reactor, no parsing, no waiting."""
