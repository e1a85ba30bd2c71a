"""One model, one row, one search.

First, two servers, a table made by the migrator, and a key:

    vaultdb dev up && eval "$(vaultdb dev env)"
    vaultdb migrate init migrations --model quickstart:Base && export VAULTDB_MIGRATIONS=migrations
    vaultdb migrate up && vaultdb migrate new patients && vaultdb migrate up
    vaultdb keys create
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


vaultdb.access(Patient)  # the application reads and writes, reports see no encrypted column


def main() -> None:
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
    engine.dispose()


if __name__ == "__main__":
    main()
