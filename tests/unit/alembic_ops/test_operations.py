"""Operations as SQL, as source and as their opposites; no server is asked."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from alembic import op
from alembic.autogenerate import renderers
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column

from vaultdb.alembic import operations as ours
from vaultdb.alembic.autogenerate import render_item
from vaultdb.alembic.operations.invalidation import trigger_name
from vaultdb.alembic.operations.operation import IMPORT
from vaultdb.errors import ConfigurationError
from vaultdb.orm import Envelope

ODD = 'Odd "%s" :x'
QUOTED = '"Odd ""%s"" :x"'


def printed(call) -> list[str]:
    """The SQL of an operation in offline mode."""
    buffer = io.StringIO()
    options = {"as_sql": True, "literal_binds": True, "output_buffer": buffer}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    with Operations.context(context):
        call()
    return [line.strip() for line in buffer.getvalue().split(";\n") if line.strip()]


def invoked(operation) -> list[str]:
    buffer = io.StringIO()
    options = {"as_sql": True, "literal_binds": True, "output_buffer": buffer}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    Operations(context).invoke(operation)
    return [line.strip() for line in buffer.getvalue().split(";\n") if line.strip()]


def written(operation: Any) -> str:
    """The operation's source."""
    options = {
        "alembic_module_prefix": "op.",
        "sqlalchemy_module_prefix": "sa.",
        "user_module_prefix": None,
        "render_item": render_item,
    }
    context: Any = SimpleNamespace(imports=set(), opts=options, migration_context=None)
    source = renderers.dispatch(operation)(context, operation)
    assert IMPORT in context.imports
    return str(source)


POLICY = ours.Policy("SELECT", ("a", "PUBLIC"), "x = ':y%s'", "true", False)

OPERATIONS = [
    ours.GrantOp("select, insert", "t", "r"),
    ours.RevokeOp(["update"], ODD, ODD, columns=[ODD, "b"], schema=ODD),
    ours.GrantOp(["USAGE"], "t_id_seq", "PUBLIC", kind="sequence"),
    ours.EnableRlsOp(ODD, schema=ODD),
    ours.EnableRlsOp("t", force=False),
    ours.DisableRlsOp("t"),
    ours.ForceRlsOp("t"),
    ours.CreatePolicyOp(ODD, ODD, POLICY, schema=ODD),
    ours.DropPolicyOp("p", "t", POLICY),
    ours.CreateBlindIndexOp("t", "c", unique=True),
    ours.DropBlindIndexOp("t", "c", companion="x", name="ix", schema="s"),
    ours.AddEncryptedColumnOp("t", Column("c", Envelope(), nullable=False), schema="s"),
    ours.ExpandEncryptedColumnOp("t", "c", Envelope(), companion="c_index"),
    ours.AbandonExpansionOp("t", "c", Envelope(), encrypted_column="d", schema="s"),
    ours.CreateInvalidationTriggerOp(ODD, ODD, "d", companion="e", schema=ODD),
    ours.DropInvalidationTriggerOp("t", "c", "d"),
    ours.RenameIndexOp(ODD, "b", schema=ODD),
    ours.RenameSequenceOp("a", ODD),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
def test_what_is_written_does_what_was_found(operation):
    source = written(operation)
    names = {"op": op, "vaultdb": __import__("vaultdb.orm"), "sa": __import__("sqlalchemy")}
    assert printed(lambda: eval(source, names)) == invoked(operation) != []


@pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
def test_the_opposite_of_the_opposite_is_the_same(operation):
    again = operation.reverse().reverse()
    assert again.to_diff_tuple()[:2] == operation.to_diff_tuple()[:2]
    assert invoked(again) == invoked(operation) != invoked(operation.reverse())


def test_names_are_always_quoted_and_percent_signs_stay_single():
    grant = ours.GrantOp(["SELECT"], ODD, ODD, columns=["select"], schema="Odd")
    assert invoked(grant) == [f'GRANT SELECT ("select") ON TABLE "Odd".{QUOTED} TO {QUOTED}']
    (policy,) = invoked(ours.CreatePolicyOp(ODD, "t", POLICY))
    assert policy == (
        f'CREATE POLICY {QUOTED} ON "t" AS RESTRICTIVE FOR SELECT TO "a", PUBLIC'
        " USING (x = ':y%s') WITH CHECK (true)"
    )


def test_everybody_is_no_name():
    assert invoked(ours.RevokeOp(["SELECT"], "t", "public")) == [
        'REVOKE SELECT ON TABLE "t" FROM PUBLIC'
    ]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ours.GrantOp(["ALL"], "t", "r"), "privileges on a table are SELECT, .*, not ALL"),
        (lambda: ours.GrantOp([], "t", "r"), "not none"),
        (lambda: ours.GrantOp(["DELETE"], "t", "r", columns=["a"]), "on a column are .*not DELETE"),
        (lambda: ours.GrantOp(["SELECT"], "t", "r", columns=[]), "at least one"),
        (lambda: ours.GrantOp(["SELECT"], "t", "r", columns="ab"), "names of columns"),
        (lambda: ours.GrantOp(["SELECT"], "t", "r", kind="view"), "on a table or on a sequence"),
        (lambda: invoked(ours.GrantOp(["SELECT"], "t\0", "r")), "leave NUL out"),
        (lambda: invoked(ours.GrantOp(["SELECT"], "t", "")), "is no name"),
        (lambda: ours.Policy("TRUNCATE"), "a policy is for ALL, SELECT"),
        (lambda: ours.Policy(roles=()), "name the roles"),
        (lambda: printed(lambda: op.create_policy("p", "t", roles="ab")), "a list of role names"),
    ],
)
def test_what_makes_no_sense_is_refused(call, told):
    with pytest.raises(ConfigurationError, match=told):
        call()


def test_a_policy_whose_text_nobody_knows_cannot_be_brought_back():
    with pytest.raises(ValueError, match="not reversible"):
        ours.DropPolicyOp("p", "t").reverse()


def test_long_names_of_triggers_stay_different_and_within_the_limit():
    names = {trigger_name("t" * 40, "é" * 20 + end) for end in "ab"}
    assert len(names) == 2
    assert all(len(name.encode()) <= 63 for name in names)
    assert trigger_name("patient", "ssn") == "vaultdb_stale_patient_ssn"
