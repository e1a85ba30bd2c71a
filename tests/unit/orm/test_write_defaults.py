"""Defaults and onupdates around encrypted columns: once per row, and visible on the object."""

from __future__ import annotations

import itertools

import pytest
from sqlalchemy import create_engine, event, insert, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

import vaultdb
from vaultdb.errors import StatementRefused
from vaultdb.testing import memory_keyring

numbers = itertools.count()


def _domain(context):
    return context.get_current_parameters()["email"].split("@")[1]


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = vaultdb.encrypted(str, index=vaultdb.Equality())
    domain: Mapped[str] = mapped_column(default=_domain)
    token: Mapped[str] = vaultdb.encrypted(str, default=lambda: f"token {next(numbers)}")
    kind: Mapped[str] = vaultdb.encrypted(str, default="person")
    greeting: Mapped[str] = vaultdb.encrypted(
        str, default=lambda context: "dear " + context.current_parameters["kind"]
    )
    seen: Mapped[str | None] = vaultdb.encrypted(
        str, nullable=True, onupdate=lambda: f"seen {next(numbers)}"
    )


@pytest.fixture
def engine():
    engine = vaultdb.install(
        create_engine("sqlite://", poolclass=StaticPool), keyring=memory_keyring()
    )
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine):
    with Session(engine, expire_on_commit=False) as session:
        yield session


def _stored(session):
    session.expire_all()
    return session.scalars(select(Account)).all()


def test_a_new_object_has_its_defaults_after_the_flush(session, engine):
    account = Account(email="ada@example.org")
    session.add(account)
    session.flush()
    selects = []
    event.listen(engine, "before_cursor_execute", lambda *args: selects.append(args[2]))
    assert (account.domain, account.kind) == ("example.org", "person")
    assert account.greeting == "dear person"
    token = account.token
    assert selects == []
    assert [found.token for found in _stored(session)] == [token]


def test_what_is_given_is_no_default(session):
    session.add(Account(email="a@b", domain="c", token="d", kind="e", greeting="f"))
    session.commit()
    (account,) = _stored(session)
    assert (account.domain, account.token, account.kind, account.greeting) == ("c", "d", "e", "f")


def test_bulk_rows_get_a_default_each(session):
    session.execute(insert(Account), [{"email": f"{name}@example.org"} for name in "ab"])
    accounts = _stored(session)
    assert len({account.token for account in accounts}) == 2
    assert {account.domain for account in accounts} == {"example.org"}


def test_a_core_insert_of_literals_gets_them_too(engine):
    table = Account.__table__
    with engine.begin() as connection:
        connection.execute(insert(table).values(email="a@b", kind="robot"))
        connection.execute(insert(table).values([{"email": "c@d"}, {"email": "e@f"}]))
        found = connection.execute(select(table.c.domain, table.c.greeting)).all()
    assert found == [("b", "dear robot"), ("d", "dear person"), ("f", "dear person")]


def test_onupdate_is_encrypted_and_seen_on_the_object(session):
    account = Account(email="a@b")
    session.add(account)
    session.commit()
    assert account.seen is None
    account.kind = "robot"
    session.commit()
    first = account.seen
    assert first is not None
    assert first.startswith("seen")
    assert [found.seen for found in _stored(session)] == [first]
    session.execute(update(Account).where(Account.id == account.id).values(kind="other"))
    assert _stored(session)[0].seen != first


def test_an_object_that_does_not_change_is_not_touched(session):
    session.add(Account(email="a@b"))
    session.commit()
    (account,) = _stored(session)
    account.kind = "person"
    session.commit()
    assert account.seen is None


def test_onupdate_needs_the_row_like_any_value(session):
    with pytest.raises(StatementRefused, match=r"account\.seen must name its row"):
        session.execute(update(Account).values(domain="x"))


def test_an_index_value_is_made_for_a_default_too(engine):
    class Other(DeclarativeBase):
        pass

    class Tagged(Other):
        __tablename__ = "tagged"
        id: Mapped[int] = mapped_column(primary_key=True)
        tag: Mapped[str] = vaultdb.encrypted(str, default="new", index=vaultdb.Equality())

    Other.metadata.create_all(engine)
    with Session(engine) as session:
        session.execute(insert(Tagged.__table__), [{"id": 1}, {"id": 2}])
        session.add(Tagged())
        found = session.scalars(select(Tagged.id).where(Tagged.tag == "new")).all()
    assert sorted(found) == [1, 2, 3]
