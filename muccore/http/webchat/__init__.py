# -*- test-case-name: tests.http.test_webchat -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The web chat: pages around Converse.js, which is fetched when the server is set up (docs/webchat.md)."""
