"""Who acts: the principal, tenant and purpose of the running code."""

from __future__ import annotations
