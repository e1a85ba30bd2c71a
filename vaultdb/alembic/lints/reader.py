"""Read one statement from left to right."""

from __future__ import annotations

from collections.abc import Sequence

from vaultdb.alembic.sql_tokens import Kind, Token

Name = tuple[str, ...]
"""The parts of a name: schema and table, or only a table."""


class Reader:
    """A position among the tokens of a statement."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = list(tokens)
        self._at = 0

    @property
    def next(self) -> Token | None:
        """The token that comes next; None at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def take(self, *words: str) -> bool:
        """Pass these words, if they are what comes next."""
        coming = self._tokens[self._at : self._at + len(words)]
        if len(coming) < len(words):
            return False
        if not all(token.is_word(word) for token, word in zip(coming, words, strict=True)):
            return False
        self._at += len(words)
        return True

    def take_any(self, *words: str) -> bool:
        """Pass as many of these words as come next."""
        passed = False
        while self.next is not None and self.next.is_word(*words):
            self._at += 1
            passed = True
        return passed

    def mark(self, mark: str) -> bool:
        """Pass a character."""
        if self.next is not None and self.next.is_mark(mark):
            self._at += 1
            return True
        return False

    def identifier(self) -> str | None:
        """Read one name."""
        token = self.next
        if token is None or token.kind not in (Kind.WORD, Kind.NAME):
            return None
        self._at += 1
        return token.text

    def name(self) -> Name:
        """Read a name with what qualifies it; empty if there is none."""
        parts: list[str] = []
        while True:
            part = self.identifier()
            if part is None:
                return tuple(parts)
            parts.append(part)
            if not self.mark("."):
                return tuple(parts)

    def group(self) -> list[Token]:
        """Read what is within parentheses; nothing if there are none."""
        if not self.mark("("):
            return []
        inner: list[Token] = []
        depth = 1
        while (token := self.next) is not None:
            self._at += 1
            depth += token.is_mark("(") - token.is_mark(")")
            if depth == 0:
                break
            inner.append(token)
        return inner

    def skip(self) -> None:
        """Pass one token."""
        self._at += 1

    def until_group(self) -> None:
        """Pass everything before the next opening parenthesis."""
        while self.next is not None and not self.next.is_mark("("):
            self._at += 1

    def until(self, *words: str) -> list[Token]:
        """Read up to one of these words outside parentheses, or to the end."""
        found: list[Token] = []
        depth = 0
        while (token := self.next) is not None:
            if depth == 0 and token.is_word(*words):
                break
            depth += token.is_mark("(") - token.is_mark(")")
            found.append(token)
            self._at += 1
        return found

    def rest(self) -> list[Token]:
        """Read the rest."""
        return self.until()


def separated(tokens: Sequence[Token]) -> list[list[Token]]:
    """Cut at the commas outside parentheses."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += token.is_mark("(") - token.is_mark(")")
        if depth == 0 and token.is_mark(","):
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def identifiers(tokens: Sequence[Token]) -> list[str]:
    """Return every name and word among the tokens."""
    return [token.text for token in tokens if token.kind in (Kind.WORD, Kind.NAME)]


def has_words(tokens: Sequence[Token], *words: str) -> bool:
    """Tell whether these words come in a row somewhere."""
    return position_of(tokens, *words) is not None


def position_of(tokens: Sequence[Token], *words: str) -> int | None:
    """Return where these words come in a row first."""
    for start in range(len(tokens) - len(words) + 1):
        part = tokens[start : start + len(words)]
        if all(token.is_word(word) for token, word in zip(part, words, strict=True)):
            return start
    return None
