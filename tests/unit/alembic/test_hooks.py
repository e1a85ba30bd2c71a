"""A user's hooks and vaultdb's both have their say."""

from __future__ import annotations

from typing import Any

import pytest

from vaultdb.alembic.hooks import composed


def both(name: str, ours: Any, theirs: Any) -> Any:
    return composed({name: ours}, {name: theirs})[name]


def test_what_cannot_be_composed_is_the_users() -> None:
    merged = composed({"version_table_schema": "a", "x": 1}, {"version_table_schema": None})
    assert merged == {"version_table_schema": None, "x": 1}


@pytest.mark.parametrize("name", ["include_name", "include_object"])
@pytest.mark.parametrize(("ours", "theirs"), [(True, False), (False, True), (True, True)])
def test_both_must_include(name: str, ours: bool, theirs: bool) -> None:
    include = both(name, lambda *_: ours, lambda *_: theirs)
    assert include("patient", "table", {}) is (ours and theirs)


def test_a_users_rendering_comes_first_unless_it_is_false() -> None:
    def theirs(_kind: str, item: str, _context: object) -> str | bool:
        return "mine" if item == "a" else False

    render = both("render_item", lambda *_: "vaultdb's", theirs)
    assert [render("type", item, None) for item in "ab"] == ["mine", "vaultdb's"]


def test_a_users_comparison_comes_first_unless_it_is_none() -> None:
    compare = both("compare_type", lambda *_: True, lambda name: False if name == "a" else None)
    assert [compare("a"), compare("b")] == [False, True]
    assert both("compare_type", len, False) is False
    assert both("compare_type", len, True) is len


def test_directives_are_changed_by_vaultdb_and_then_by_the_user() -> None:
    process = both(
        "process_revision_directives",
        lambda _c, _r, directives: directives.append("vaultdb"),
        lambda _c, _r, directives: directives.append("user"),
    )
    directives: list[str] = []
    process(None, None, directives)
    assert directives == ["vaultdb", "user"]


def test_lists_are_joined_without_repeating() -> None:
    ours = ["alembic.autogenerate.*", "vaultdb.*"]
    theirs = ["alembic.autogenerate.*", "other"]
    assert both("autogenerate_plugins", ours, theirs) == [*ours, "other"]
    assert both("on_version_apply", [len], print) == [len, print]


def test_a_hook_that_only_one_has_is_taken_as_it_is() -> None:
    assert composed({"render_item": None}, {"render_item": len}) == {"render_item": len}
    assert composed({"render_item": len}, {"render_item": None})["render_item"] is None
