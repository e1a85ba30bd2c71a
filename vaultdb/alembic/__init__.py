"""Migrations under a role of their own: operations, autogenerate, lints, and the env.py helper."""

from __future__ import annotations
