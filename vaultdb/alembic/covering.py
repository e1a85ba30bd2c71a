"""The constraint that makes it safe to drop a plaintext column: nothing is left unencrypted."""

from __future__ import annotations

from collections.abc import Iterable

from vaultdb.alembic.sql_tokens import Kind, Token, tokens


def covers(definition: str, plain: str, encrypted: str) -> bool:
    """Tell whether a CHECK says `plain IS NULL OR encrypted IS NOT NULL`, and nothing weaker.

    Args:
        definition: the constraint, or only its condition; parentheses do not matter.
        plain: the plaintext column.
        encrypted: the encrypted one.

    """
    return covers_tokens(tokens(definition), plain, encrypted)


def covers_tokens(definition: Iterable[Token], plain: str, encrypted: str) -> bool:
    """Tell the same of a definition that has been read."""
    found = [token for token in definition if not _is_parenthesis(token)]
    if found and found[0].is_word("check"):
        del found[0]
    nothing = [_named(plain), *_words("is", "null")]
    something = [_named(encrypted), *_words("is", "not", "null")]
    shown = [_named(token.text) if token.kind is Kind.NAME else token for token in found]
    either = _words("or")
    return shown in ([*nothing, *either, *something], [*something, *either, *nothing])


def _is_parenthesis(token: Token) -> bool:
    return token.is_mark("(") or token.is_mark(")")


def _named(name: str) -> Token:
    """Return a name as a word: quotes or not, it is the same column."""
    return Token(Kind.WORD, name)


def _words(*words: str) -> list[Token]:
    return [Token(Kind.WORD, word) for word in words]
