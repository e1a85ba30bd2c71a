"""Read GRANT, CREATE POLICY, CREATE FUNCTION, CREATE VIEW and CREATE PUBLICATION."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vaultdb.alembic.lints import events
from vaultdb.alembic.lints.events import Event
from vaultdb.alembic.lints.reader import (
    Name,
    Reader,
    has_words,
    identifiers,
    position_of,
    separated,
)
from vaultdb.alembic.sql_tokens import Kind, Token


def read_grant(reader: Reader) -> Iterator[Event]:
    """Read GRANT and ALTER DEFAULT PRIVILEGES … GRANT."""
    default = reader.take("alter", "default", "privileges")
    if default:
        reader.until("grant", "revoke")
    if not reader.take("grant"):
        return
    what = reader.until("to")
    reader.take("to")
    roles = separated(reader.until("with", "granted"))
    shown = " ".join(token.text for token in what)
    to_public = any(role[-1].is_word("public") for role in roles)
    yield events.Granted(to_public, f"{shown} by default" if default else shown)


def read_policy(reader: Reader) -> Iterator[Event]:
    """Read CREATE POLICY and ALTER POLICY."""
    created = reader.take("create", "policy")
    if not created and not reader.take("alter", "policy"):
        return
    name = reader.identifier() or ""
    reader.take("on")
    table = reader.name()
    restrictive = reader.take("as") and reader.take("restrictive")
    reader.until("to", "using", "with")
    roles = ["public"] if created else []
    if reader.take("to"):
        roles = [part[-1].text for part in separated(reader.until("using", "with"))]
    using = reader.group() if reader.take("using") else []
    check = reader.group() if reader.take("with", "check") else []
    shows_all = _is_true(using) or _is_true(check)
    yield events.PolicyCreated(table, name, tuple(roles), not restrictive, shows_all)


def read_function(reader: Reader) -> Iterator[Event]:
    """Read CREATE and ALTER FUNCTION or PROCEDURE."""
    created = reader.take("create")
    if not created and not reader.take("alter"):
        return
    reader.take("or", "replace")
    if not (reader.take("function") or reader.take("procedure") or reader.take("routine")):
        return
    name = reader.name()
    reader.group()
    rest = reader.rest()
    definer = None
    if has_words(rest, "security", "definer"):
        definer = True
    elif created or has_words(rest, "security", "invoker"):
        definer = False
    yield events.FunctionChanged(name, definer, _search_path(rest), created)


def read_view(reader: Reader) -> Iterator[Event]:
    """Read CREATE VIEW, CREATE MATERIALIZED VIEW and ALTER VIEW."""
    if reader.take("alter", "view"):
        reader.take("if", "exists")
        name = reader.name()
        sets = reader.take("set")
        if sets or reader.take("reset"):
            options = reader.group()
            if "security_invoker" in identifiers(options):
                yield events.ViewCreated(name, sets and _says_invoker(options), False)
        return
    if not reader.take("create"):
        return
    reader.take("or", "replace")
    reader.take_any("temp", "temporary", "recursive")
    materialized = reader.take("materialized")
    if not reader.take("view"):
        return
    reader.take("if", "not", "exists")
    name = reader.name()
    reader.group()
    options = reader.until("as")
    words = frozenset(identifiers(reader.rest()))
    yield events.ViewCreated(name, _says_invoker(options), materialized, words)


def read_publication(reader: Reader) -> Iterator[Event]:
    """Read CREATE PUBLICATION and ALTER PUBLICATION."""
    if reader.take("create", "publication"):
        reader.identifier()
        reader.take("for")
    elif reader.take("alter", "publication"):
        reader.identifier()
        if not (reader.take("add") or reader.take("set")):
            return
    else:
        return
    rest = reader.until("with")
    everything = has_words(rest, "all", "tables") or has_words(rest, "tables", "in", "schema")
    tables = [] if everything else [_published(part) for part in separated(rest)]
    yield events.Published(tuple(each for each in tables if each[0]), everything)


def _published(tokens: Sequence[Token]) -> tuple[Name, tuple[str, ...] | None]:
    reader = Reader(tokens)
    reader.take("table")
    reader.take("only")
    name = reader.name()
    columns = identifiers(reader.group())
    return name, tuple(columns) or None


def _is_true(condition: Sequence[Token]) -> bool:
    inner = [token for token in condition if not (token.is_mark("(") or token.is_mark(")"))]
    return len(inner) == 1 and inner[0].is_word("true")


def _says_invoker(options: Sequence[Token]) -> bool:
    at = next((i for i, t in enumerate(options) if t.is_word("security_invoker")), None)
    if at is None:
        return False
    following = [token for token in options[at + 1 :] if not token.is_mark("=")]
    value = following[0].text.lower() if following else "true"
    return value not in ("false", "off", "0", "no")


def _search_path(tokens: Sequence[Token]) -> tuple[str, ...] | None:
    start = position_of(tokens, "set", "search_path")
    if start is None:
        reset = has_words(tokens, "reset", "search_path") or has_words(tokens, "reset", "all")
        return () if reset else None
    reader = Reader(tokens[start + 2 :])
    if not reader.take("to"):
        reader.mark("=")
    found: list[str] = []
    while (token := reader.next) is not None and token.kind is not Kind.MARK:
        if token.kind is Kind.STRING:
            found += [part.strip().strip('"') for part in token.text.split(",")]
            reader.skip()
        else:
            found.append(reader.identifier() or "")
        if not reader.mark(","):
            break
    return tuple(found)
