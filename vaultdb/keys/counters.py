"""What a keyring did, for metrics and for the proof that N rows never mean N Vault calls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Numbers since the keyring was made; written under the keyring's lock."""

    store_queries: int = 0
    """reads of the key table"""
    provider_calls: int = 0
    """requests to the key provider, of up to 100 keys each"""
    unwraps: int = 0
    """DEKs unwrapped and checked"""
    created: int = 0
    """DEKs made because none existed"""
    misses: int = 0
    """key ids that a result held and the cache did not"""
    refreshes: int = 0
    """background reads of keys past their soft lifetime"""
    refresh_failures: int = 0
    """refreshes that changed nothing because the store or the provider was away"""
    stale_served: int = 0
    """answers from keys whose last refresh failed, at most one per scope and retry interval"""
    denied: int = 0
    """unwraps that were refused, or gave a DEK that is not the row's"""
    evicted: int = 0
    """DEKs dropped because the cache was full"""
    rollbacks: int = 0
    """reads that showed an older newest version than seen or pinned"""
