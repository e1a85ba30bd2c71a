"""HashiCorp Vault and OpenBao behind one client, and the key providers."""

from __future__ import annotations
