"""Cut SQL into tokens and statements, whatever its formatting.

Our own eighty lines and no parser: what matters here, `CREATE POLICY`, `DO` blocks, PL/pgSQL, row
security, sqlglot 30 hands back as an unparsed "command" and sqlparse 0.5 as a flat list of tokens.
A word that is not understood must not hide the one behind it, which a tokenizer cannot get wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What a token is."""

    WORD = auto()
    """A keyword or a name without quotes, in lower case as PostgreSQL reads it."""
    NAME = auto()
    """A name within quotes."""
    STRING = auto()
    NUMBER = auto()
    MARK = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A token; quotes and escapes are gone."""

    kind: Kind
    text: str

    def is_word(self, *words: str) -> bool:
        """Tell whether it is one of these words, in lower case."""
        return self.kind is Kind.WORD and self.text in words

    def is_mark(self, mark: str) -> bool:
        """Tell whether it is this character."""
        return self.kind is Kind.MARK and self.text == mark


_PATTERN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*)
    | (?P<comment>/\*)
    | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*(?:'|$))
    | (?P<string>(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|$))
    | (?P<name>(?:[uU]&)?"(?:[^"]|"")*(?:"|$))
    | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][\w]*)?\$)
    | (?P<number>\d+(?:\.\d*)?)
    | (?P<word>[A-Za-z_\x80-\U0010ffff][\w$]*)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_UPPER = re.compile(r"[A-Z]+")


def tokens(sql: str) -> list[Token]:
    """Return the tokens of some SQL, without comments."""
    return list(_tokens(sql))


def _tokens(sql: str) -> Iterator[Token]:
    position = 0
    while position < len(sql):
        match = _PATTERN.match(sql, position)
        assert match is not None  # the last alternative takes any character
        position = match.end()
        if match.lastgroup == "comment":
            position = _end_of_comment(sql, position)
        elif match.lastgroup == "dollar":
            end = sql.find(match[0], position)
            end = len(sql) if end < 0 else end
            yield Token(Kind.STRING, sql[position:end])
            position = end + len(match[0])
        elif match.lastgroup != "space":
            yield _token(match.lastgroup or "mark", match[0])


def _token(group: str, text: str) -> Token:
    if group == "word":
        return Token(Kind.WORD, _UPPER.sub(lambda found: found[0].lower(), text))
    if group == "name":
        return Token(Kind.NAME, _inner(text, '"'))
    if group == "string":
        return Token(Kind.STRING, _inner(text, "'"))
    if group == "escaped":
        return Token(Kind.STRING, _ESCAPE.sub(r"\1", _inner(text, "'")))
    return Token(Kind.NUMBER if group == "number" else Kind.MARK, text)


def _inner(text: str, quote: str) -> str:
    start = text.index(quote) + 1
    end = len(text) - 1 if len(text) > start and text.endswith(quote) else len(text)
    return text[start:end].replace(quote * 2, quote)


def _end_of_comment(sql: str, position: int) -> int:
    """Return where a comment ends; comments may hold comments."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(sql, position):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)


_OPENING = ("begin", "then", "else", "loop", "declare", "atomic")
"""Words of PL/pgSQL that another statement may follow without a semicolon."""

_WITH_BODY = (("do",), ("create", "function"), ("create", "procedure"))


def statements(sql: str) -> list[list[Token]]:
    """Return the statements, those within `DO` blocks, functions and `EXECUTE '…'` too."""
    found: list[list[Token]] = []
    for statement in split(tokens(sql), ()):
        found.append(statement)
        if _has_body(statement):
            for token in statement:
                if token.kind is Kind.STRING:
                    found.extend(_within(token.text))
    return found


def _within(body: str) -> Iterator[list[Token]]:
    for statement in split(tokens(body), _OPENING):
        yield statement
        if any(token.is_word("execute") for token in statement):
            for token in statement:
                if token.kind is Kind.STRING:
                    yield from split(tokens(token.text), ())


def split(found: Sequence[Token], opening: Sequence[str]) -> list[list[Token]]:
    """Cut at semicolons, and behind the words that open a block."""
    statements: list[list[Token]] = [[]]
    for token in found:
        if token.is_mark(";"):
            statements.append([])
            continue
        statements[-1].append(token)
        if token.is_word(*opening):
            statements.append([])
    return [statement for statement in statements if statement]


def _has_body(statement: Sequence[Token]) -> bool:
    words = [token.text for token in statement[:4] if token.kind is Kind.WORD]
    if words[1:3] == ["or", "replace"]:
        del words[1:3]
    return any(tuple(words[: len(start)]) == start for start in _WITH_BODY)
