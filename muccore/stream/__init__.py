# Copyright (c) The muccore authors. See LICENSE for details.
"""
Floor 1: one connection, from bytes to elements and back: parser, transport, TLS, SASL, negotiation.
"""
