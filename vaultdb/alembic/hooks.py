"""The arguments of `context.configure`: vaultdb's, composed with the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Hook = Callable[..., Any]


def composed(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return both sets of options in one; what cannot be composed is the user's."""
    merged = {**ours, **theirs}
    for name, compose in _COMPOSE.items():
        if ours.get(name) is not None and theirs.get(name) is not None:
            merged[name] = compose(ours[name], theirs[name])
    return merged


def _both_agree(ours: Hook, theirs: Hook) -> Hook:
    """Include what both include."""
    return lambda *given: bool(ours(*given)) and bool(theirs(*given))


def _first_answer(ours: Hook, theirs: Hook) -> Hook:
    """Ask the user's hook first; False is no answer."""

    def render(*given: Any) -> Any:
        answer = theirs(*given)
        return ours(*given) if answer is False else answer

    return render


def _first_opinion(ours: Hook, theirs: Any) -> Any:
    """Ask the user's hook first; None is no opinion. A bool switches comparing on or off."""
    if not callable(theirs):
        return ours if theirs is True else theirs

    def compare(*given: Any) -> Any:
        opinion = theirs(*given)
        return ours(*given) if opinion is None and callable(ours) else opinion

    return compare


def _one_after_the_other(ours: Hook, theirs: Hook) -> Hook:
    """Let vaultdb change the directives, then the user, who has the last word."""

    def process(*given: Any) -> None:
        ours(*given)
        theirs(*given)

    return process


def _all(ours: Any, theirs: Any) -> list[Any]:
    """Return every entry once, vaultdb's first."""
    return list(dict.fromkeys([*_listed(ours), *_listed(theirs)]))


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else [value]


_COMPOSE: dict[str, Callable[[Any, Any], Any]] = {
    "include_name": _both_agree,
    "include_object": _both_agree,
    "render_item": _first_answer,
    "compare_type": _first_opinion,
    "compare_server_default": _first_opinion,
    "process_revision_directives": _one_after_the_other,
    "on_version_apply": _all,
    "autogenerate_plugins": _all,
}
