"""Work over the rows of a table, in chunks, by any number of workers, safe to kill at any point."""

from __future__ import annotations
