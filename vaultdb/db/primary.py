"""Where vaultdb's own statements go: to the primary, also when the engine reads a replica."""

from __future__ import annotations

from vaultdb.settings import DatabaseSettings, Settings


def on_primary(settings: Settings | DatabaseSettings) -> Settings | DatabaseSettings:
    """Return the settings with `database.primary_url`, where there is one, as the URL."""
    database = settings.database if isinstance(settings, Settings) else settings
    if database.primary_url is None:
        return settings
    primary = database.model_copy(update={"url": database.primary_url})
    if isinstance(settings, Settings):
        return settings.model_copy(update={"database": primary})
    return primary
