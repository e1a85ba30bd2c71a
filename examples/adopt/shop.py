"""The application: it adds a customer and looks one up, whichever step the models are at."""

from __future__ import annotations

import importlib
import sys

from sqlalchemy import select
from sqlalchemy.orm import Session

import vaultdb

models = importlib.import_module(sys.argv[1])
Customer = models.Customer

engine = vaultdb.create_engine()
with Session(engine) as session:
    session.add(Customer(email=sys.argv[2], ssn=sys.argv[3]))
    session.commit()
    for email in sys.argv[4:]:
        found = session.scalars(select(Customer).where(Customer.email == email)).one()
        by_ssn = session.scalars(select(Customer.email).where(Customer.ssn == found.ssn)).all()
        print(email, found.ssn, "found by it:", ", ".join(sorted(by_ssn)))
