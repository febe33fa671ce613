# Copyright (c) The muccore authors. See LICENSE for details.
"""Streams over HTTP (BOSH: XEP-0124, XEP-0206)."""
