# Copyright (c) The muccore authors. See LICENSE for details.
"""SASL2 (XEP-0388), and what a client may ask for inside of it."""
