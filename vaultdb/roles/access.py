"""The declaration of who may do what with a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, inspect

from vaultdb.db.quoting import LONGEST_NAME
from vaultdb.errors import ConfigurationError
from vaultdb.orm import claims
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.roles.column_names import column_named, names_in
from vaultdb.roles.declared import declare
from vaultdb.roles.grant import Grant, grant_of
from vaultdb.roles.policies import claim_type

if TYPE_CHECKING:
    from vaultdb.roles.grant import Columns

ALL = "select insert update delete"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what with one table; columns by their names in the database."""

    table: Table = field(repr=False)
    rw: Grant
    ro: tuple[str, ...] | None
    """The columns that may be read; None for those that are neither encrypted nor an index."""
    rotator: bool
    others: Mapping[str, Grant]
    """By the role's name, unquoted."""
    tenant: str | None
    principal: str | None
    own_policies: bool

    @property
    def has_policies(self) -> bool:
        """Whether rows are shown by claims."""
        return self.tenant is not None or self.principal is not None

    @property
    def rotates(self) -> bool:
        """Whether the rotator has something to do in this table."""
        return self.rotator and bool(encrypted_columns(self.table))


def access(
    target: type[Any] | Table,
    /,
    *,
    rw: str | Collection[str] | Grant | None = None,
    ro: Collection[str] | None = None,
    rotator: bool = True,
    others: Mapping[str, Grant] = MappingProxyType({}),
    tenant: str | None = None,
    principal: str | None = None,
    own_policies: bool = False,
) -> Access:
    """Declare who may do what with a table; write it beside the model.

    `vaultdb roles`, migrations and the documentation read it. Nothing is sent to a database.

    Args:
        target: a mapped class, or a `Table`.
        rw: what the application may do: words such as `"select insert"`, or a `Grant` for columns;
            by default select, insert, update and delete, for a view select.
        ro: the columns that reports may read, also encrypted ones; by default those that are
            neither encrypted nor a blind index. An empty collection closes the table.
        rotator: whether re-encryption may read the key and the encrypted columns, and change the
            latter.
        others: what other roles of yours may do, by their names, unquoted.
        tenant: the column with the row's tenant: rows of others are hidden by row-level security.
        principal: the column with the row's owner, likewise.
        own_policies: leave the row-level security of this table alone: you write it yourself.

    Raises:
        ConfigurationError: a column, a privilege or a role that cannot be; names those that can.

    Example:
        >>> from sqlalchemy import Column, Integer, MetaData, Table, Text
        >>> key = Column("id", Integer, primary_key=True)
        >>> note = Table("note", MetaData(), key, Column("body", Text))
        >>> access(note, rw="select insert", ro=["id"]).rw
        Grant(select=True, insert=True, update=False, delete=False)

    """
    table = _table_of(target)
    view = is_view(table)
    if rw is None:
        rw = "select" if view else ALL
    declared = Access(
        table=table,
        rw=_checked(table, grant_of("rw=", rw), "rw=", target),
        ro=None if ro is None else names_in(table, ro, "ro=", target),
        rotator=rotator and not view,
        others=_others(table, others, target),
        tenant=_claim_column(table, tenant, "tenant=", target),
        principal=_claim_column(table, principal, "principal=", target),
        own_policies=own_policies,
    )
    _refuse_contradictions(declared, view=view)
    declare(declared)
    if declared.has_policies:
        claims.guard(table)
    return declared


def is_view(table: Table) -> bool:
    """Tell whether a `Table` stands for a view.

    SQLAlchemy 2.1 knows the views that it creates; of others it is told as Alembic's cookbook has
    it, by `info={"is_view": True}`.
    """
    return bool(getattr(table, "is_view", False) or table.info.get("is_view"))


def _table_of(target: Any) -> Table:
    if isinstance(target, Table):
        return target
    mapper: Any = inspect(target, raiseerr=False) if isinstance(target, type) else None
    if mapper is None:
        shown = target.__name__ if isinstance(target, type) else type(target).__name__
        raise ConfigurationError(
            f"access({shown}) needs a mapped class or a Table: declare access for each class that "
            "is mapped, after its definition; mixins and abstract bases have no table"
        )
    if not isinstance(mapper.local_table, Table):
        raise ConfigurationError(
            f"{target.__name__} is mapped to a {type(mapper.local_table).__name__}, not to a table "
            "of its own: declare access for the tables that it selects from"
        )
    return mapper.local_table


def _checked(table: Table, grant: Grant, argument: str, target: object) -> Grant:
    """Replace the names of columns by those in the database."""

    def checked(privilege: str, columns: Columns) -> Columns:
        if isinstance(columns, bool):
            return columns
        return names_in(table, columns, f"{argument} {privilege}", target)

    return Grant(
        select=checked("select", grant.select),
        insert=checked("insert", grant.insert),
        update=checked("update", grant.update),
        delete=grant.delete,
    )


def _others(table: Table, others: Mapping[str, Grant], target: object) -> Mapping[str, Grant]:
    found = {}
    for role, grant in others.items():
        stated: object = grant
        if not isinstance(stated, Grant):
            raise ConfigurationError(
                f"others[{role!r}] must be a vaultdb.Grant, such as Grant(select=True)"
            )
        found[_role(role)] = _checked(table, grant, f"others[{role!r}]", target)
    return MappingProxyType(found)


def _role(name: str) -> str:
    size = len(name.encode())
    if not 1 <= size <= LONGEST_NAME or "\0" in name:
        raise ConfigurationError(
            f"others= names the role {name!r}: a role's name has 1 to {LONGEST_NAME} bytes, none "
            "of them zero"
        )
    if name.lower() in {"public", "none"} or name.startswith("pg_"):
        raise ConfigurationError(
            f"others= names {name!r}, which is everybody's or PostgreSQL's own: name a role that "
            "you made"
        )
    return name


def _claim_column(table: Table, name: str | None, argument: str, target: object) -> str | None:
    if name is None:
        return None
    column = column_named(table, name, argument, target)
    claim_type(column, argument)
    return column.name


def _refuse_contradictions(declared: Access, *, view: bool) -> None:
    name = declared.table.fullname
    if view and declared.has_policies:
        raise ConfigurationError(
            f"{name} is a view, which has no row-level security: declare tenant= and principal= "
            "for the tables below it, and create it WITH (security_invoker)"
        )
    if declared.own_policies and declared.has_policies:
        raise ConfigurationError(
            f"{name} declares own_policies=True beside tenant= or principal=: leave out one of them"
        )
    if declared.tenant is not None and declared.tenant == declared.principal:
        raise ConfigurationError(f"{name} declares one column as tenant= and as principal=")
