"""Say a fact in a few plain words, for plans and reports."""

from __future__ import annotations

from collections.abc import Callable

from vaultdb.roles.fact import PUBLIC, Fact
from vaultdb.roles.statements import GRANT_OPTION


def describe(fact: Fact) -> str:
    """Return a fact as one line that can be read without knowing catalogues."""
    return _LINES.get(fact.fact, _any)(fact)


def everybody(who: str) -> str:
    """Return the role, or that it is everybody."""
    return "everybody (PUBLIC)" if who == PUBLIC else who


def _grant(fact: Fact) -> str:
    option = ", to pass on" if GRANT_OPTION in fact.extra else ""
    return f"grant {fact.value} on {fact.kind} {fact.object} to {everybody(fact.who)}{option}"


def _owner(fact: Fact) -> str:
    return f"owner of {fact.kind} {fact.object} is {fact.who}"


def _default(fact: Fact) -> str:
    role, _, schema = fact.object.rpartition(":")
    place = "" if schema == "*" else f" in schema {schema}"
    what = f"future {fact.kind} of {role}{place}"
    return f"default {fact.value} on {what} to {everybody(fact.who)}"


def _rls(fact: Fact) -> str:
    return f"row-level security of {fact.object} is {fact.value}{fact.extra and ' and forced'}"


def _policy(fact: Fact) -> str:
    kind, _, check = fact.extra.partition("|")
    using = f" using {fact.value}" if fact.value else ""
    checked = f" with check {check}" if check else ""
    return f"policy {fact.object} {kind.lower()} for {fact.kind} to {fact.who}{using}{checked}"


def _role(fact: Fact) -> str:
    limit = "" if fact.extra == "-1" else f", {fact.extra} connections"
    return f"role {fact.object} {fact.value}{limit}"


def _member(fact: Fact) -> str:
    by_set_role = " by SET ROLE" if fact.value == "NOINHERIT" else ""
    admin = ", to pass on" if "ADMIN" in fact.extra else ""
    return f"member of {fact.object} is {fact.who}{by_set_role}{admin}"


def _setting(fact: Fact) -> str:
    whose = f" of {fact.who}" if fact.who else ""
    where = "" if fact.kind == "database" else ", in every database"
    return f"setting {fact.object} = {fact.value}{whose}{where}"


def _definer(fact: Fact) -> str:
    return f"function {fact.object} runs as {fact.who}, {fact.value or 'no search_path'}"


def _source(fact: Fact) -> str:
    return f"function {fact.object} {fact.extra}, source {fact.value[:12]}"


def _trigger(fact: Fact) -> str:
    return f"trigger {fact.object} {fact.kind}"


def _view(fact: Fact) -> str:
    return f"view {fact.object} reads with the rights of its {fact.kind}"


def _publication(fact: Fact) -> str:
    return f"publication {fact.object} sends {fact.value}"


def _any(fact: Fact) -> str:
    return " ".join(part for part in (fact.fact, fact.object, fact.who, fact.value) if part)


_LINES: dict[str, Callable[[Fact], str]] = {
    "grant": _grant,
    "owner": _owner,
    "default": _default,
    "rls": _rls,
    "policy": _policy,
    "role": _role,
    "member": _member,
    "setting": _setting,
    "definer": _definer,
    "source": _source,
    "trigger": _trigger,
    "view": _view,
    "publication": _publication,
}
