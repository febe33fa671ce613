# -*- test-case-name: tests.storage.test_postgresql -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores in PostgreSQL (design/0032). The package psycopg is optional, so it is imported when a store is opened."""
