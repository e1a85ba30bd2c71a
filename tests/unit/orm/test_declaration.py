"""Declaring encrypted columns: what is accepted, what is refused, and with which words."""

from __future__ import annotations

import copy
import enum
import pickle
import uuid
from datetime import date
from typing import Annotated, Any

import pytest
from sqlalchemy import (
    ARRAY,
    Column,
    Computed,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    configure_mappers,
    mapped_column,
    registry,
)

from vaultdb import Encrypted, Equality, encrypted
from vaultdb.errors import ConfigurationError, ValueRefused


class Blood(enum.Enum):
    A = "a"


def table(*columns: Any, name: str = "t", **options: Any) -> Table:
    return Table(name, MetaData(), Column("id", Integer, primary_key=True), *columns, **options)


@pytest.fixture
def base() -> type[DeclarativeBase]:
    class Base(DeclarativeBase):
        registry = registry()

    return Base


# -- logical names ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "schema", "column", "expected"),
    [
        ("patient", None, "ssn", "patient.ssn"),
        ("patient", "clinic", "ssn", "clinic.patient.ssn"),
        ("a.b", None, "c", '"a.b".c'),
        ("b", "a", "c", "a.b.c"),
        ('odd"name', None, "Secret %s", '"odd""name".Secret %s'),
    ],
)
def test_a_column_is_called_as_it_is_declared(name, schema, column, expected):
    declared = table(Column(column, Encrypted(str)), name=name, schema=schema)
    assert declared.c[column].type.logical_name == expected


def test_a_declared_logical_name_wins_and_survives_a_rename():
    first = table(Column("ssn", Encrypted(str, logical_name="patient.ssn")), name="person")
    assert first.c.ssn.type.identity.logical_name == "patient.ssn"


def test_one_instance_on_two_columns_gets_two_names():
    shared = Encrypted(str)
    declared = table(Column("a", shared), Column("b", shared))
    assert [declared.c[name].type.logical_name for name in "ab"] == ["t.a", "t.b"]
    assert shared.logical_name is None


def test_mixins_and_annotated_name_each_table_apart(base):
    secret = Annotated[str, mapped_column(Encrypted(str))]

    class Mixin:
        reason: Mapped[str] = encrypted(str)

    made = [
        type(
            name,
            (Mixin, base),
            {
                "__tablename__": name.lower(),
                "__annotations__": {"id": Mapped[int], "body": Mapped[secret]},
                "id": mapped_column(primary_key=True),
            },
        )
        for name in ("One", "Two")
    ]
    names = [[c.type.logical_name for c in m.__table__.c if c.name != "id"] for m in made]
    assert {frozenset(each) for each in names} == {
        frozenset({"one.reason", "one.body"}),
        frozenset({"two.reason", "two.body"}),
    }


def test_a_copied_table_keeps_declared_names_and_derives_the_others_anew():
    declared = table(Column("a", Encrypted(str)), Column("b", Encrypted(str, logical_name="old.b")))
    moved = declared.to_metadata(MetaData(), schema="clinic", name="t2")
    assert moved.c.a.type.logical_name == "clinic.t2.a"
    assert moved.c.b.type.logical_name == "old.b"


def test_a_type_without_a_table_has_no_identity():
    with pytest.raises(ConfigurationError, match="logical_name="):
        _ = Encrypted(str).identity


# -- the type itself ----------------------------------------------------------------------------


def test_types_that_differ_in_any_option_have_different_cache_keys():
    types = [
        Encrypted(str),
        Encrypted(bytes),
        Encrypted(str, logical_name="x"),
        Encrypted(str, index=Equality()),
        Encrypted(str, bind="column"),
        Encrypted(str, bind=("id",)),
        Encrypted(str, keyset="other"),
        Encrypted(str, pad=None),
        Encrypted(str, tenant_column="tenant"),
        Encrypted(str, validate=len),
    ]
    keys = {type_._static_cache_key for type_ in types}
    assert len(keys) == len(types)
    assert Encrypted(str)._static_cache_key == Encrypted(str)._static_cache_key


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_a_type_survives_copying_and_pickling(clone):
    type_ = table(Column("a", Encrypted(Blood, index=Equality()))).c.a.type
    assert clone(type_)._static_cache_key == type_._static_cache_key
    assert clone(type_).encode(Blood.A) == type_.encode(Blood.A)


def test_repr_shows_the_declaration():
    assert repr(Encrypted(str)) == "Encrypted(str)"
    assert (
        repr(Encrypted(str, pad=None, bind="column")) == "Encrypted(str, bind='column', pad=None)"
    )


@pytest.mark.parametrize("python_type", [dict, list])
def test_unhashable_values_are_not_hashed_by_the_orm(python_type):
    assert Encrypted(python_type).hashable is False
    assert Encrypted(str).hashable is True


def test_a_frame_reads_back():
    type_ = Encrypted(date)
    assert type_.decode(type_.encode(date(1990, 1, 2))) == date(1990, 1, 2)


# -- values -------------------------------------------------------------------------------------


def test_a_value_of_another_type_is_refused_by_the_column_without_being_shown():
    type_ = table(Column("age", Encrypted(int))).c.age.type
    with pytest.raises(ValueRefused, match=r"^t\.age: ") as caught:
        type_.encode("s3cret")
    assert "s3cret" not in "".join(map(str, (caught.value, caught.value.__context__)))


def _raises(value: str) -> None:
    raise ValueError(value)


@pytest.mark.parametrize("validate", [lambda _: False, _raises])
def test_validate_refuses_by_false_or_value_error_without_showing_the_value(validate):
    type_ = Encrypted(str, validate=validate)
    with pytest.raises(ValueRefused, match="validate=") as caught:
        type_.encode("s3cret")
    assert "s3cret" not in repr(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_validate_that_returns_nothing_accepts():
    assert Encrypted(str, validate=lambda _: None).encode("x")


# -- refused options ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"index": True}, r"index= takes an Equality\(\)"),
        ({"bind": "rows"}, r"bind= takes"),
        ({"bind": ()}, r"bind= takes"),
        ({"bind": ["id"]}, r"bind= takes"),
        ({"keyset": ""}, "keyset="),
        ({"logical_name": ""}, "logical_name="),
        ({"logical_name": "e\u0301"}, "logical name"),
        ({"tenant_column": 7}, "tenant_column="),
        ({"validate": "x"}, "validate="),
        ({"pad": 1}, "pad"),
        ({"pad": 5000}, "pad"),
        ({"pad": "8"}, "pad= takes a number of bytes"),
        ({"pad": [8]}, "pad= takes a number of bytes"),
        ({"pad": True}, "pad= takes a number of bytes"),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(options, words):
    with pytest.raises(ConfigurationError, match=words):
        Encrypted(str, **options)


@pytest.mark.parametrize(
    ("argument", "remedy"),
    [
        ("unique", r"Equality\(unique=True\)"),
        ("primary_key", "another key"),
        ("server_default", "default="),
        ("server_onupdate", "onupdate="),
        ("autoincrement", "in the clear"),
        ("colour", "no such option"),
    ],
)
def test_an_argument_that_contradicts_encryption_is_refused_with_the_remedy(argument, remedy):
    with pytest.raises(ConfigurationError, match=rf"{argument}.*{remedy}"):
        encrypted(str, **{argument: True})


def test_a_type_without_codec_is_refused():
    with pytest.raises(ConfigurationError, match="complex"):
        Encrypted(complex)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Equality(domain=""), "domain"),
        (lambda: Equality(normalise="lower"), "normaliser"),
        (lambda: Equality(unique="yes"), "unique"),
        (lambda: Encrypted(int, index=Equality(normalise="casefold")), "str columns"),
    ],
)
def test_an_index_that_cannot_work_is_refused(make, words):
    with pytest.raises(ConfigurationError, match=words):
        make()


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (lambda: Column("a", Encrypted(str), unique=True), "unique="),
        (lambda: Column("a", Encrypted(str), index=True), "index="),
        (lambda: Column("a", Encrypted(str), primary_key=True), "primary_key="),
        (lambda: Column("a", Encrypted(str), server_default="x"), "server_default="),
        (lambda: Column("a", Encrypted(str), Computed("b")), "the server cannot encrypt"),
        (lambda: Column("a", Encrypted(str), ForeignKey("b.id")), "foreign key"),
        (lambda: Column("a", Encrypted(str), default=func.now()), "default="),
        (lambda: Column("a", Encrypted(str), onupdate=func.now()), "onupdate="),
        (lambda: UniqueConstraint("a"), r"Equality\(unique=True\)"),
        (lambda: Index("ix", "a"), r"index=Equality\(\)"),
    ],
)
def test_a_core_column_is_checked_when_its_table_takes_it(column, words):
    item = column()
    extra = [] if isinstance(item, Column) else [Column("a", Encrypted(str))]
    with pytest.raises(ConfigurationError, match=words):
        table(*extra, item)


# -- nullability --------------------------------------------------------------------------------


def _mapped(base: Any, annotation: Any, column: Any) -> type:
    model = type(
        "Model",
        (base,),
        {
            "__tablename__": "model",
            "__annotations__": {"id": Mapped[int], "x": annotation},
            "id": mapped_column(primary_key=True),
            "x": column,
        },
    )
    configure_mappers()
    return model  # kept until here, or nothing would be there to configure


def test_an_optional_annotation_needs_nullable(base):
    with pytest.raises(ConfigurationError, match="nullable=True"):
        _mapped(base, Mapped[str | None], encrypted(str))
    base.registry.dispose()


def test_nullable_needs_an_optional_annotation(base):
    with pytest.raises(ConfigurationError, match="not annotated as optional"):
        _mapped(base, Mapped[str], encrypted(str, nullable=True))
    base.registry.dispose()


@pytest.mark.parametrize(
    ("annotation", "nullable"),
    [(Mapped[str], False), (Mapped[str | None], True), ("Mapped[str | None]", True)],
)
def test_nullability_that_agrees_passes(base, annotation, nullable):
    _mapped(base, annotation, encrypted(str, nullable=nullable))


# -- dataclasses, SQLModel ----------------------------------------------------------------------


def test_a_mapped_dataclass_keeps_the_plaintext_out_of_its_repr():
    class Base(MappedAsDataclass, DeclarativeBase):
        registry = registry()

    class Record(Base):
        __tablename__ = "record"
        id: Mapped[int] = mapped_column(primary_key=True, init=False)
        secret: Mapped[str] = mapped_column(Encrypted(str), repr=False)

    assert "s3cret" not in repr(Record(secret="s3cret"))
    assert Record.__table__.c.secret.type.logical_name == "record.secret"


def test_sqlmodel_takes_the_type():
    sqlmodel = pytest.importorskip("sqlmodel")

    class Hero(sqlmodel.SQLModel, table=True):
        id: uuid.UUID = sqlmodel.Field(default_factory=uuid.uuid4, primary_key=True)
        name: str = sqlmodel.Field(sa_type=Encrypted(str, index=Equality()))

    assert Hero.__table__.c.name.type.logical_name == "hero.name"
    assert Hero.__table__.c.name_index is not None
    sqlmodel.SQLModel.metadata.clear()
    sqlmodel.main.default_registry.dispose()


def test_change_tracking_reaches_dict_and_list(base):
    class Model(base):
        __tablename__ = "tracked"
        id: Mapped[int] = mapped_column(primary_key=True)
        notes: Mapped[dict] = encrypted(dict)
        tags: Mapped[list] = encrypted(list)
        text: Mapped[str] = mapped_column(Text)

    configure_mappers()
    made = Model(notes={"a": 1}, tags=[1])
    assert [type(value).__name__ for value in (made.notes, made.tags)] == [
        "MutableDict",
        "MutableList",
    ]


def test_identity_always_is_refused_with_the_remedy(base):
    class Model(base):
        __tablename__ = "always"
        id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
        x: Mapped[str] = encrypted(str)

    with pytest.raises(ConfigurationError, match=r"Identity\(\) without always=True"):
        configure_mappers()
    base.registry.dispose()


class Wrapper(TypeDecorator):
    impl = Encrypted
    cache_ok = True


@pytest.mark.parametrize(
    "type_",
    [Wrapper(str), ARRAY(Encrypted(str)), Text().with_variant(Encrypted(str), "postgresql")],
    ids=["TypeDecorator", "ARRAY", "variant"],
)
def test_a_type_that_hides_an_encrypted_one_is_refused(type_):
    """ORDER BY, DISTINCT and comparisons would take ciphertext without a word."""
    with pytest.raises(ConfigurationError, match=r"t\.x has Encrypted within .* itself"):
        Table("t", MetaData(), Column("id", Integer, primary_key=True), Column("x", type_))
