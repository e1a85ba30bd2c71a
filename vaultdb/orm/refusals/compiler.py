"""The walk: a statement compiler that lets encrypted columns stand only where they can work.

SQLAlchemy renders every reference to a column through `visit_column`. Here that method refuses an
encrypted column unless a caller that knows the place has permitted this very object: the column
list of a statement whose rows reach Python or an enclosing FROM, `IS NULL`, `count()`, the target
of SET. Whatever is not known is refused, so a construct that nobody thought of cannot slip through.
The positions kept on the way down only choose the words.
"""

# ruff: noqa: D102
# mypy: disallow-untyped-calls=False

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Null, Select
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler

from vaultdb.orm.refusals import positions as at
from vaultdb.orm.refusals.columns import is_column, refusal
from vaultdb.orm.refusals.rows import (
    check_distinct,
    check_set_operation,
    check_textual_columns,
    check_whole_row,
    text_binds_rows,
)
from vaultdb.orm.refusals.text_order import check_text_order
from vaultdb.orm.refusals.writes import check_write
from vaultdb.orm.supply import bare, is_null_constant
from vaultdb.orm.types import is_encrypted

__all__ = ["RefusingCompiler", "refusing"]

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql.base import PGCompiler as _Base
else:
    _Base = object

_IN_OPERATORS = frozenset({operators.in_op, operators.not_in_op})
_NULL_OPERATORS = frozenset({operators.is_, operators.is_not})


class RefusingCompiler(_Base):
    """A mixin over the statement compiler of any dialect."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._positions: list[at.Position] = []
        self._permitted: list[Any] = []
        self._releases: list[bool] = []
        self._taken_over: list[Any] = []
        self._in_exists = False
        super().__init__(*args, **kwargs)  # SQLAlchemy compiles in here

    @contextmanager
    def _within(self, position: at.Position) -> Iterator[None]:
        self._positions.append(position)
        try:
            yield
        finally:
            self._positions.pop()

    @contextmanager
    def _permit(self, elements: list[Any]) -> Iterator[None]:
        before = len(self._permitted)
        self._permitted.extend(elements)
        try:
            yield
        finally:
            del self._permitted[before:]

    # -- the one place where a column is rendered --------------------------------------------

    def visit_column(self, column: Any, *args: Any, **kwargs: Any) -> Any:
        if is_encrypted(column) and not self._may_stand(column, kwargs):
            raise refusal(column, self._positions[-1] if self._positions else at.TEXT)
        return super().visit_column(column, *args, **kwargs)

    def _may_stand(self, column: Any, kwargs: dict[str, Any]) -> bool:
        if any(permitted is column for permitted in self._permitted):
            return True
        if not self._positions:  # a DDL expression, or a result column of from_statement(text())
            is_result = kwargs.get("add_to_result_map") is not None
            return not is_result or text_binds_rows(self.statement, column)
        if self._positions[-1] is at.CONFLICT:  # by itself in SET, not inside an expression
            return any(taken is column for taken in self._taken_over)
        return self._positions[-1] is at.SET and kwargs.get("include_table") is False

    # -- column lists ------------------------------------------------------------------------

    def _label_select_column(self, select: Any, column: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_encrypted(column):
            with self._within(at.COLUMN_LIST):
                return super()._label_select_column(select, column, *args, **kwargs)
        inner = bare(column)
        if not is_column(inner) and not is_null_constant(inner):
            self._refuse_expression(inner)
        if isinstance(select, Select) and not self._releases[-1]:
            raise refusal(inner, self._place_of_subquery())
        with self._within(at.COLUMN_LIST), self._permit([inner]):
            return super()._label_select_column(select, column, *args, **kwargs)

    def _refuse_expression(self, expression: Any) -> None:
        with self._within(at.COLUMN_LIST):
            self.process(expression)  # refuses inside, with the words for the place
        raise refusal(expression, at.COLUMN_LIST)

    def _place_of_subquery(self) -> at.Position:
        for position in reversed(self._positions[:-1]):
            if position in {at.IN_SUBQUERY, at.INSERT_FROM_SELECT, at.SET}:
                return position
        return at.SCALAR_SUBQUERY

    def visit_label(self, label: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("render_label_as_label") is label and is_encrypted(label):
            raise refusal(label, self._positions[-1])  # ORDER BY and GROUP BY name the label only
        return super().visit_label(label, *args, **kwargs)

    def visit_table_valued_column(self, element: Any, **kwargs: Any) -> Any:
        check_whole_row(element.scalar_alias)
        return super().visit_table_valued_column(element, **kwargs)

    # -- statements --------------------------------------------------------------------------

    def visit_select(self, *args: Any, **kwargs: Any) -> Any:
        with self._selecting(kwargs):
            return super().visit_select(*args, **kwargs)

    def visit_compound_select(self, cs: Any, *args: Any, **kwargs: Any) -> Any:
        with self._selecting(kwargs):
            check_set_operation(cs, self.compound_keywords[cs.keyword])
            return super().visit_compound_select(cs, *args, **kwargs)

    @contextmanager
    def _selecting(self, kwargs: dict[str, Any]) -> Iterator[None]:
        """Note whether the rows of a SELECT reach Python or an enclosing FROM."""
        if kwargs.get("compound_index") is not None:
            releases = self._releases[-1]
        else:
            releases = not self.stack or kwargs.get("asfrom", False) or self._in_exists
        self._in_exists = False
        self._releases.append(releases and not kwargs.get("insert_into"))
        try:
            with self._within(at.EXPRESSION):
                yield
        finally:
            self._releases.pop()

    def get_select_precolumns(self, select: Any, **kwargs: Any) -> Any:
        check_distinct(select)
        with self._within(at.DISTINCT_ON):
            return super().get_select_precolumns(select, **kwargs)

    def order_by_clause(self, select: Any, **kwargs: Any) -> Any:
        check_text_order(select, select._order_by_clauses, at.ORDER_BY)  # noqa: SLF001
        with self._within(at.ORDER_BY):
            return super().order_by_clause(select, **kwargs)

    def group_by_clause(self, select: Any, **kwargs: Any) -> Any:
        check_text_order(select, select._group_by_clauses, at.GROUP_BY)  # noqa: SLF001
        with self._within(at.GROUP_BY):
            return super().group_by_clause(select, **kwargs)

    def visit_textual_select(self, taf: Any, *args: Any, **kwargs: Any) -> Any:
        check_textual_columns(taf, nested=bool(self.stack))
        return super().visit_textual_select(taf, *args, **kwargs)

    def visit_insert(self, insert_stmt: Any, *args: Any, **kwargs: Any) -> Any:
        check_write(insert_stmt, nested=bool(self.stack))
        with self._within(at.INSERT_FROM_SELECT):
            return super().visit_insert(insert_stmt, *args, **kwargs)

    def visit_update(self, update_stmt: Any, *args: Any, **kwargs: Any) -> Any:
        check_write(update_stmt, nested=bool(self.stack))
        with self._within(at.SET):
            return super().visit_update(update_stmt, *args, **kwargs)

    def visit_on_conflict_do_update(self, on_conflict: Any, **kwargs: Any) -> Any:
        self._taken_over = _taken_over(on_conflict)
        with self._within(at.CONFLICT):
            return super().visit_on_conflict_do_update(on_conflict, **kwargs)

    # -- expressions -------------------------------------------------------------------------

    def visit_binary(self, binary: Any, *args: Any, **kwargs: Any) -> Any:
        operator = binary.operator
        position = self._positions[-1] if self._positions else at.COMPARISON
        if operator in _IN_OPERATORS:
            position = at.IN_SUBQUERY
        elif position is not at.JOIN_ON:
            position = at.COMPARISON
        is_null_test = operator in _NULL_OPERATORS and isinstance(binary.right, Null)
        left = bare(binary.left)
        with (
            self._within(position),
            self._permit([left] if is_null_test and is_column(left) else []),
        ):
            return super().visit_binary(binary, *args, **kwargs)

    def visit_unary(self, unary: Any, *args: Any, **kwargs: Any) -> Any:
        self._in_exists = unary.operator is operators.exists  # EXISTS ignores its column list
        try:
            return super().visit_unary(unary, *args, **kwargs)
        finally:
            self._in_exists = False

    def visit_function(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        is_count = func.name.lower() == "count" and not getattr(func, "packagenames", ())
        counted = [bare(argument) for argument in func.clauses] if is_count else []
        with (
            self._within(at.function(func.name)),
            self._permit([column for column in counted if _is_countable(column)]),
        ):
            return super().visit_function(func, *args, **kwargs)


def _taken_over(on_conflict: Any) -> list[Any]:
    """Return the columns of `excluded` that are set to the column of the same name."""
    return [
        value
        for target, value in dict(on_conflict.update_values_to_set).items()
        if is_column(value)
        and getattr(value.table, "name", None) == "excluded"
        and getattr(target, "key", target) == value.key
    ]


def _is_countable(element: Any) -> bool:
    """Tell whether NULL is NULL there: where plaintext is allowed, it may also be plaintext."""
    return is_column(element) and not getattr(element.type, "allows_plaintext", False)


def _framed(name: str, position: at.Position) -> Any:
    def method(self: RefusingCompiler, *args: Any, **kwargs: Any) -> Any:
        with self._within(position):
            return getattr(super(RefusingCompiler, self), name)(*args, **kwargs)

    method.__name__ = name
    return method


for _name, _position in {
    "visit_aggregate_order_by": at.AGGREGATE_ORDER,
    "visit_aggregateorderby": at.AGGREGATE_ORDER,
    "visit_case": at.CASE,
    "visit_cast": at.CAST,
    "visit_join": at.JOIN_ON,
    "visit_over": at.WINDOW,
    "visit_postgresql_distinct_on": at.DISTINCT_ON,
    "visit_try_cast": at.CAST,
    "visit_type_coerce": at.CAST,
    "visit_withingroup": at.AGGREGATE_ORDER,
}.items():
    setattr(RefusingCompiler, _name, _framed(_name, _position))


def refusing(base: type[SQLCompiler]) -> type[SQLCompiler]:
    """Return the statement compiler `base` with the walk built in."""
    if issubclass(base, RefusingCompiler):
        return base
    return type(f"Refusing{base.__name__}", (RefusingCompiler, base), {})
