# Copyright (c) The muccore authors. See LICENSE for details.
"""SASL (RFC 6120 §6): what an exchange is, the mechanisms, SCRAM."""
