"""One model, one row, one search.

First: vaultdb dev up; eval "$(vaultdb dev env)"; vaultdb migrate up; vaultdb keys create
"""

from __future__ import annotations

import uuid
from datetime import date

from sqlalchemy import select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import vaultdb
from vaultdb import Equality, encrypted


class Base(DeclarativeBase):
    pass


class Patient(Base):
    __tablename__ = "patient"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = encrypted(str)
    ssn: Mapped[str] = encrypted(str, index=Equality(unique=True))
    born: Mapped[date] = encrypted(date)


def create_table() -> None:
    """Do what a migration does: as the migrator, who owns tables and can decrypt nothing."""
    migrator = vaultdb.create_engine(role="migrator")
    with migrator.begin() as connection:
        Base.metadata.create_all(connection)
        connection.execute(text("GRANT SELECT, INSERT, UPDATE, DELETE ON patient TO vaultdb_rw"))


def main() -> None:
    create_table()
    engine = vaultdb.create_engine()
    by_ssn = select(Patient).where(Patient.ssn == "999-12-3456")
    with Session(engine) as session, vaultdb.acting_as("dr-jones", purpose="treatment"):
        if session.scalars(by_ssn).one_or_none() is None:
            session.add(Patient(name="Ada", ssn="999-12-3456", born=date(1990, 1, 2)))
            session.commit()
        ada = session.scalars(by_ssn).one()
        print("through vaultdb:", ada.name, ada.ssn, ada.born)
        stored = session.execute(text("SELECT name, ssn, born FROM patient")).one()
        print("in PostgreSQL:  ", *(value.hex()[:20] + "…" for value in stored))


if __name__ == "__main__":
    main()
