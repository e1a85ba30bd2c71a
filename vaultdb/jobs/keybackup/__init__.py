"""Backups of the key table, apart from ordinary dumps, and manifests of what dumps need."""
