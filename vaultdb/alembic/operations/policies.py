"""`op.create_policy` and `op.drop_policy`: which rows of a table a role sees and writes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from alembic.operations import Operations

from vaultdb.alembic.operations.names import grantee, identifier, qualified
from vaultdb.alembic.operations.operation import VaultOperation, given
from vaultdb.errors import ConfigurationError

COMMANDS = ("ALL", "SELECT", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a policy says; expressions are SQL."""

    command: str = "ALL"
    roles: tuple[str, ...] = ("PUBLIC",)
    using: str | None = None
    check: str | None = None
    permissive: bool = True

    def __post_init__(self) -> None:
        if self.command not in COMMANDS:
            raise ConfigurationError(
                f"command={self.command!r}: a policy is for {', '.join(COMMANDS)}"
            )
        if not self.roles:
            raise ConfigurationError("roles= is empty; name the roles that the policy is for")

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments that make it."""
        return {
            "command": self.command,
            "roles": list(self.roles),
            **given(using=self.using, check=self.check),
            **({} if self.permissive else {"permissive": False}),
        }


def policy_of(
    command: str,
    roles: Collection[str],
    using: str | None,
    check: str | None,
    permissive: bool,
) -> Policy:
    """Return the policy of an operation's arguments."""
    if isinstance(roles, str):
        raise ConfigurationError("roles= takes a list of role names")
    return Policy(command.upper(), tuple(roles), using, check, permissive)


@Operations.register_operation("create_policy")
class CreatePolicyOp(VaultOperation):
    """A new policy."""

    opname = "create_policy"

    def __init__(self, name: str, table: str, policy: Policy, *, schema: str | None = None) -> None:
        self.name = name
        self.table = str(table)
        self.policy = policy
        self.schema = schema

    @classmethod
    def create_policy(
        cls,
        operations: Operations,
        name: str,
        table: str,
        *,
        roles: Collection[str],
        command: str = "ALL",
        using: str | None = None,
        check: str | None = None,
        permissive: bool = True,
        schema: str | None = None,
    ) -> None:
        """Say which rows of a table some roles see (`using`) and may write (`check`).

        The expressions are SQL and are not quoted: never put input into them.
        """
        policy = policy_of(command, roles, using, check, permissive)
        operations.invoke(cls(name, table, policy, schema=schema))

    def arguments(self) -> tuple[Any, ...]:
        """Return policy and table."""
        return (self.name, self.table)

    def options(self) -> dict[str, Any]:
        """Return what it says, and the schema."""
        return {**self.policy.options(), **given(schema=self.schema)}

    def statements(self) -> list[str]:
        """Return CREATE POLICY."""
        policy = self.policy
        clauses = [
            f"CREATE POLICY {identifier(self.name)} ON {qualified(self.table, self.schema)}",
            f"AS {'PERMISSIVE' if policy.permissive else 'RESTRICTIVE'}",
            f"FOR {policy.command}",
            f"TO {', '.join(grantee(role) for role in policy.roles)}",
        ]
        if policy.using is not None:
            clauses.append(f"USING ({policy.using})")
        if policy.check is not None:
            clauses.append(f"WITH CHECK ({policy.check})")
        return [" ".join(clauses)]

    def reverse(self) -> DropPolicyOp:
        """Return the opposite."""
        return DropPolicyOp(self.name, self.table, self.policy, schema=self.schema)


@Operations.register_operation("drop_policy")
class DropPolicyOp(VaultOperation):
    """A policy less; knows what it said if it is to be reversible."""

    opname = "drop_policy"

    def __init__(
        self, name: str, table: str, policy: Policy | None = None, *, schema: str | None = None
    ) -> None:
        self.name = name
        self.table = str(table)
        self.policy = policy
        self.schema = schema

    @classmethod
    def drop_policy(
        cls, operations: Operations, name: str, table: str, *, schema: str | None = None
    ) -> None:
        """Drop a policy; without any, row-level security shows no rows."""
        operations.invoke(cls(name, table, schema=schema))

    def arguments(self) -> tuple[Any, ...]:
        """Return policy and table."""
        return (self.name, self.table)

    def options(self) -> dict[str, Any]:
        """Return the schema."""
        return given(schema=self.schema)

    def statements(self) -> list[str]:
        """Return DROP POLICY."""
        return [f"DROP POLICY {identifier(self.name)} ON {qualified(self.table, self.schema)}"]

    def reverse(self) -> CreatePolicyOp:
        """Return the opposite.

        Raises:
            ValueError: nobody said what the policy was.

        """
        if self.policy is None:
            raise ValueError(f"drop_policy({self.name!r}) is not reversible: its text is not known")
        return CreatePolicyOp(self.name, self.table, self.policy, schema=self.schema)
