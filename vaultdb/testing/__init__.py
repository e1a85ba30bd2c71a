"""A pytest plugin for applications that use vaultdb; it loads itself when vaultdb is installed.

Nothing of vaultdb is imported before a test asks for one of the fixtures.
"""

from __future__ import annotations
