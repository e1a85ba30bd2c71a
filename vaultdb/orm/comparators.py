"""What can be asked of an encrypted column in SQL; everything else is refused at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    Column,
    ColumnClause,
    ColumnElement,
    Null,
    and_,
    bindparam,
    null,
    or_,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.lambdas import PyWrapper
from sqlalchemy.types import TypeEngine

from vaultdb.errors import StatementRefused
from vaultdb.orm.companion import companion_of
from vaultdb.orm.index_match import IndexMatch
from vaultdb.orm.plaintext_match import plaintext_match
from vaultdb.orm.plaintext_supply import plaintext
from vaultdb.orm.probe import ProbeType
from vaultdb.orm.supply import NotSuppliedError, bare, supplied_beside

if TYPE_CHECKING:
    from vaultdb.orm.types import Encrypted

_NULL_TESTS = {operators.eq: operators.is_, operators.ne: operators.is_not}
_EQUAL = {operators.eq: False, operators.ne: True}
_AMONG = {operators.in_op: False, operators.not_in_op: True}

_REMEDIES: Mapping[Any, str] = {
    operators.desc_op: "sort the loaded rows in Python, or order by a column in the clear",
    operators.asc_op: "sort the loaded rows in Python, or order by a column in the clear",
    operators.distinct_op: "load the rows and compare in Python, or count the index's companion",
}
_DEFAULT_REMEDY = "load the rows and compare in Python"


class EncryptedComparator(TypeEngine.Comparator[Any]):
    """Compares by the blind index where there is one; knows `IS NULL`; refuses the rest."""

    def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
        """Build a comparison.

        Raises:
            StatementRefused: the operator cannot work on encrypted values; names the remedy.
            ValueRefused: the value is not of the column's type; does not show it.

        """
        operand = other[0] if other else None
        if isinstance(operand, PyWrapper):
            self._refuse(
                "with a variable of a lambda",
                "build the statement or the criterion without lambda_stmt() and lambda",
            )
        if op in _NULL_TESTS and _is_null(operand):
            return self._is_null(_NULL_TESTS[op], operand)
        if op in (operators.is_, operators.is_not) and _is_null(operand):
            return self._is_null(op, operand, **kwargs)
        if op in _EQUAL:
            return self._equal(op, operand)
        if op in _AMONG:
            return self._among(op, operand)
        raise self._refusal(op)

    def reverse_operate(self, op: Any, other: Any, **kwargs: Any) -> NoReturn:
        """Refuse `"x" + column` and the like.

        Raises:
            StatementRefused: always.

        """
        del other, kwargs
        raise self._refusal(op)

    def _equal(self, op: Any, operand: Any) -> ColumnElement[bool]:
        if hasattr(operand, "__clause_element__"):
            operand = operand.__clause_element__()
        if isinstance(operand, ColumnElement) and not isinstance(operand, BindParameter):
            return self._joined(op, operand)
        return self._match(operand, negated=_EQUAL[op], several=False)

    def _is_null(self, op: Any, null: Any, **kwargs: Any) -> ColumnElement[bool]:
        test: ColumnElement[bool] = super().operate(op, null, **kwargs)
        if not self._type.allows_plaintext:
            return test
        plain = self._beside(self.expr, plaintext)
        join = and_ if op is operators.is_ else or_
        return join(test, plain.operate(op, null, **kwargs))

    def _among(self, op: Any, operand: Any) -> ColumnElement[bool]:
        if not isinstance(operand, BindParameter) and hasattr(operand, "__clause_element__"):
            operand = operand.__clause_element__()
        return self._match(operand, negated=_AMONG[op], several=True)

    def _match(self, operand: Any, *, negated: bool, several: bool) -> ColumnElement[bool]:
        companion = self._companion(self.expr)
        type_ = ProbeType(self._type, several)
        if several and _is_collection(operand):
            operand = list(operand)  # it may be read once only
        match = IndexMatch(companion, _parameter(operand, type_, self._refuse), negated=negated)
        if not self._type.allows_plaintext:
            return match
        plain = plaintext_match(
            self._beside(self.expr, plaintext), operand, type_, negated=negated, refuse=self._refuse
        )
        # Both arms say whether they apply, so that NOT finds what it should among both kinds.
        is_encrypted = super().operate(operators.is_not, null())
        is_plain = super().operate(operators.is_, null())
        return or_(and_(is_encrypted, match), and_(is_plain, plain))

    def _joined(self, op: Any, other: ColumnElement[Any]) -> ColumnElement[bool]:
        theirs: Any = bare(other).type
        is_allowed = self._type.allows_plaintext or getattr(theirs, "allows_plaintext", False)
        if _have_one_table(self.expr, other) and (
            is_allowed or not _are_joinable(self._type, theirs)
        ):
            # SQLAlchemy looks columns up in dicts and in lists (RETURNING of a mapped class), where
            # == settles what is equal. As a condition it is refused when it is compiled.
            never_compiled: ColumnElement[bool] = super().operate(op, other)
            return never_compiled
        if self._type.index is None:
            raise _no_index(self.expr)
        if not isinstance(theirs, type(self._type)) or not hasattr(bare(other), "table"):
            self._refuse("with a column or expression that is not encrypted")
        if not _are_joinable(self._type, theirs):
            self._refuse(
                f"with {theirs.logical_name}, which is not in its index domain",
                'declare both with index=Equality(domain="...") and the same type, keyset and '
                "normaliser",
            )
        if is_allowed:
            self._refuse(
                "with another column while plaintext is allowed",
                'encrypt all rows and declare plaintext="forbid" first',
            )
        result: ColumnElement[bool] = op(self._companion(self.expr), self._companion(other))
        return result

    def _companion(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return self._beside(column, _companion)

    def _beside(
        self, column: ColumnElement[Any], wanted: Callable[[Column[Any]], Column[Any]]
    ) -> ColumnElement[Any]:
        found = None
        with suppress(NotSuppliedError):
            found = supplied_beside(bare(column), lambda bottom: [wanted(bottom)])
        if not found:
            self._refuse(
                "outside of the query that selects it",
                "filter in the inner query, or select its index column there too",
            )
        return found[0]

    @property
    def _type(self) -> Encrypted[Any]:
        type_: Encrypted[Any] = self.expr.type  # type: ignore[assignment]
        return type_

    def _refuse(self, what: str, remedy: str = _DEFAULT_REMEDY) -> NoReturn:
        raise StatementRefused(
            f"{_name(self.expr)} is encrypted and cannot be compared {what}: {remedy}"
        )

    def _refusal(self, op: Any) -> StatementRefused:
        name = getattr(op, "opstring", None) or getattr(op, "__name__", str(op)).removesuffix("_op")
        remedy = _REMEDIES.get(op, _DEFAULT_REMEDY)
        return StatementRefused(
            f"{_name(self.expr)} is encrypted, so the server cannot apply {name!r} to it: {remedy}"
        )


def _companion(column: Column[Any]) -> Column[Any]:
    companion = companion_of(column)
    if companion is None:
        raise _no_index(column)
    return companion


def _no_index(column: ColumnElement[Any]) -> StatementRefused:
    return StatementRefused(
        f"{_name(column)} is encrypted and has no index to compare it by: declare it with "
        "index=Equality(), or load the rows and compare in Python"
    )


def _parameter(
    operand: Any, type_: ProbeType, refuse: Callable[[str], NoReturn]
) -> BindParameter[Any]:
    if isinstance(operand, BindParameter):
        return _retyped(operand, type_)
    if isinstance(operand, ClauseElement) or (type_.several and not _is_collection(operand)):
        refuse("with a subquery or an expression")
    return bindparam(None, type_.probe(operand), type_=type_, unique=True)


def _retyped(operand: BindParameter[Any], type_: ProbeType) -> BindParameter[Any]:
    """Return the same parameter for index values: under its name, to be given at each execution."""
    key = None if operand.unique else operand.key
    if (given := operand.callable) is not None:
        callable_ = _probing(given, type_)
        return bindparam(key, callable_=callable_, type_=type_, unique=operand.unique)
    value = None if operand.value is None else type_.probe(operand.value)
    return bindparam(key, value, type_=type_, unique=operand.unique, required=operand.required)


def _probing(given: Callable[[], Any], type_: ProbeType) -> Callable[[], Any]:
    return lambda: type_.probe(given())


def _is_collection(operand: Any) -> bool:
    return isinstance(operand, list | tuple | set | frozenset | range) or (
        hasattr(operand, "__iter__") and not isinstance(operand, str | bytes | dict)
    )


def _is_null(operand: Any) -> bool:
    return operand is None or isinstance(operand, Null)


def _are_joinable(mine: Encrypted[Any], theirs: Any) -> bool:
    if not isinstance(theirs, type(mine)) or mine.index is None or theirs.index is None:
        return False
    mine_, theirs_ = (
        (type_.index_domain, type_.keyset, type_.type_tag, normalise)
        for type_, normalise in ((mine, mine.index.normalise), (theirs, theirs.index.normalise))
    )
    return mine_ == theirs_


def _have_one_table(column: Any, other: Any) -> bool:
    tables = [getattr(bare(each), "table", None) for each in (column, other)]
    # by hash: the ORM annotates columns and tables, and such a copy hashes like its original
    return None not in tables and hash(tables[0]) == hash(tables[1])


def _name(expression: Any) -> str:
    inner = bare(expression)
    named = inner if isinstance(inner, ColumnClause) else getattr(inner.type, "logical_name", None)
    return str(named)
