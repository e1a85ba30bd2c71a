"""Verifying the audit log without trusting anything in the database."""

from __future__ import annotations
