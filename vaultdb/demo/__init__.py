"""The main job from end to end, on servers of its own: `vaultdb demo`."""

from __future__ import annotations
