"""`# vaultdb: allow <rule> because …` beside a statement: it is meant, and says why."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_COMMENT = re.compile(r"#\s*vaultdb:\s*allow\s+(?P<rule>[\w-]+)\s*(?:because\b[\s:]*(?P<why>.*))?$")


@dataclass(frozen=True, slots=True)
class Allowance:
    """A comment that allows something."""

    line: int
    rule: str
    reason: str


class Source:
    """The comments and statements of one revision."""

    def __init__(self, path: Path) -> None:
        self._text = path.read_text("utf-8")

    def allowed(self, rule: str, line: int) -> Allowance | None:
        """Return what allows a rule to be broken in the statement at a line."""
        lines = self._lines_of(line)
        return next(
            (each for each in self.allowances if each.rule == rule and each.line in lines), None
        )

    @cached_property
    def allowances(self) -> list[Allowance]:
        """Every such comment, in order."""
        found = []
        for line, comment in sorted(self._comments.items()):
            match = _COMMENT.match(comment)
            if match is not None:
                found.append(Allowance(line, match["rule"], (match["why"] or "").strip()))
        return found

    @cached_property
    def _comments(self) -> dict[int, str]:
        readline = io.StringIO(self._text).readline
        return {
            token.start[0]: token.string
            for token in tokenize.generate_tokens(readline)
            if token.type == tokenize.COMMENT
        }

    def _lines_of(self, line: int) -> set[int]:
        """Return the lines of the statement, and of the comments right above it."""
        around = [(line, line)]
        for node in ast.walk(ast.parse(self._text)):
            if isinstance(node, ast.stmt) and not hasattr(node, "body"):
                end = node.end_lineno or node.lineno
                if node.lineno <= line <= end:
                    around.append((node.lineno, end))
        first, last = around[-1]
        lines = set(range(first, last + 1))
        source = self._text.splitlines()
        while first > 1 and source[first - 2].lstrip().startswith("#"):
            first -= 1
            lines.add(first)
        return lines
