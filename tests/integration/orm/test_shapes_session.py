"""The Session, the whole life of an object: encrypted columns behave like plain ones."""

from __future__ import annotations

import pickle
import uuid
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import func, inspect, select, text
from sqlalchemy.orm import Session, load_only, undefer
from sqlalchemy.orm.exc import StaleDataError

from tests.integration.orm.models import Blood, Node, Patient, Stamped, Versioned, Visit


def ada(**changes) -> Patient:
    values = {
        "name": "Ada",
        "ssn": "999-17-5017",
        "born": date(1990, 1, 2),
        "notes": {"allergies": ["nuts"], "n": 1},
        "blood": Blood.A,
        "balance": Decimal("12.30"),
        "letter": b"\x00\xff",
    }
    return Patient(**{**values, **changes})


def stored(session, column: str, table: str = "patient"):
    return session.execute(text(f'SELECT "{column}" FROM {table}')).scalars().all()


def test_an_added_object_comes_back_equal_and_the_table_holds_envelopes(session):
    session.add(ada())
    session.commit()
    session.expire_all()
    patient = session.scalars(select(Patient)).one()
    assert (patient.name, patient.ssn, patient.born) == ("Ada", "999-17-5017", date(1990, 1, 2))
    assert patient.notes == {"allergies": ["nuts"], "n": 1}
    assert (patient.blood, patient.balance, patient.letter) == (
        Blood.A,
        Decimal("12.30"),
        b"\0\xff",
    )
    for column in ("name", "ssn", "born", "notes", "blood", "balance", "letter"):
        (raw,) = stored(session, column)
        assert bytes(raw)[0] == 0xF6  # the magic byte of docs/explanation/format.md
        assert b"Ada" not in bytes(raw)


def test_null_stays_null_and_empty_values_round_trip(session):
    session.add(ada(ssn=None, born=None, notes=None, blood=None, balance=Decimal(0), letter=b""))
    session.add(ada(name="", ssn="", notes={}))
    session.commit()
    session.expire_all()
    none = session.scalars(select(Patient).where(Patient.ssn.is_(None))).one()
    assert (none.born, none.notes, none.blood, none.balance, none.letter) == (
        None,
        None,
        None,
        Decimal(0),
        b"",
    )
    empty = session.scalars(select(Patient).where(Patient.ssn == "")).one()
    assert (empty.name, empty.notes) == ("", {})


def test_add_all_flushes_many_rows_of_different_shapes_in_one_go(session):
    session.add_all([ada(name=f"p{i}", ssn=None if i % 2 else f"s{i}") for i in range(50)])
    session.commit()
    session.expire_all()
    found = session.scalars(select(Patient)).all()
    assert sorted(p.name for p in found) == sorted(f"p{i}" for i in range(50))
    assert {p.ssn for p in found} == {None, *(f"s{i}" for i in range(0, 50, 2))}


def test_a_changed_attribute_is_written_and_another_stays(session):
    session.add(ada())
    session.commit()
    patient = session.scalars(select(Patient)).one()
    before = stored(session, "ssn")
    patient.name = "Grace"
    session.commit()
    session.expire_all()
    assert session.scalars(select(Patient)).one().name == "Grace"
    assert stored(session, "ssn") == before


def test_the_same_plaintext_assigned_again_is_no_change(session):
    session.add(ada())
    session.commit()
    patient = session.scalars(select(Patient)).one()
    patient.name = "Ada"
    assert not session.is_modified(patient)


def test_a_change_inside_a_json_value_is_tracked(session):
    session.add(ada())
    session.commit()
    patient = session.scalars(select(Patient)).one()
    patient.notes["n"] = 2
    session.commit()
    session.expire_all()
    assert session.scalars(select(Patient)).one().notes["n"] == 2


def test_set_to_none_erases(session):
    session.add(ada())
    session.commit()
    session.scalars(select(Patient)).one().ssn = None
    session.commit()
    assert stored(session, "ssn") == [None]
    assert session.scalars(select(Patient).where(Patient.ssn == "999-17-5017")).all() == []


def test_merge_inserts_then_updates(session):
    key = uuid.uuid4()
    session.merge(ada(id=key))
    session.commit()
    session.merge(Patient(id=key, name="Merged"))
    session.commit()
    session.expire_all()
    patient = session.get(Patient, key)
    assert (patient.name, patient.ssn) == ("Merged", "999-17-5017")
    assert session.scalars(select(Patient.id).where(Patient.ssn == "999-17-5017")).one() == key


def test_refresh_and_expire_load_again(session):
    patient = ada()
    session.add(patient)
    session.flush()
    session.refresh(patient)
    assert patient.name == "Ada"
    session.refresh(patient, ["ssn"])
    session.expire(patient, ["name"])
    assert (patient.name, patient.ssn) == ("Ada", "999-17-5017")


def test_refresh_with_for_update(session):
    patient = ada()
    session.add(patient)
    session.flush()
    session.refresh(patient, with_for_update=True)
    assert patient.name == "Ada"


def test_get_and_identity_map(session):
    patient = ada()
    session.add(patient)
    session.commit()
    key = patient.id
    assert session.get(Patient, key) is patient
    session.expunge_all()
    assert session.get(Patient, key).name == "Ada"
    assert session.get(Patient, uuid.uuid4()) is None


def test_a_deleted_object_leaves_no_row(session):
    session.add(ada())
    session.commit()
    session.delete(session.scalars(select(Patient)).one())
    session.commit()
    assert session.scalar(select(func.count(Patient.name))) == 0


def test_rollback_to_a_savepoint_restores_what_was_before(session):
    patient = ada()
    session.add(patient)
    session.flush()
    nested = session.begin_nested()
    patient.name = "changed"
    session.flush()
    nested.rollback()
    assert patient.name == "Ada"
    with session.begin_nested():
        patient.name = "kept"
    session.commit()
    session.expire_all()
    assert patient.name == "kept"


def test_a_deferred_column_loads_when_touched(session):
    session.add(ada())
    session.commit()
    session.expunge_all()
    patient = session.scalars(select(Patient)).one()
    assert "letter" in inspect(patient).unloaded
    assert patient.letter == b"\x00\xff"
    session.expunge_all()
    patient = session.scalars(select(Patient).options(undefer(Patient.letter))).one()
    assert "letter" not in inspect(patient).unloaded


def test_load_only_loads_the_rest_later(session):
    session.add(ada())
    session.commit()
    session.expunge_all()
    patient = session.scalars(select(Patient).options(load_only(Patient.ssn))).one()
    assert "name" in inspect(patient).unloaded
    assert (patient.ssn, patient.name) == ("999-17-5017", "Ada")


def test_a_pickled_instance_keeps_its_values_and_can_be_merged(session):
    patient = ada()
    session.add(patient)
    session.commit()
    session.refresh(patient)
    copy = pickle.loads(pickle.dumps(patient))
    session.expunge_all()
    assert session.merge(copy).name == "Ada"


def test_versioning_notices_a_lost_update(session):
    session.add(Versioned(id=1, secret="a"))
    session.commit()
    row = session.get(Versioned, 1)
    row.secret = "b"
    session.flush()
    assert row.version == 2
    session.execute(text("UPDATE versioned SET version = 9"))
    row.secret = "c"
    with pytest.raises(StaleDataError):
        session.flush()


def test_bulk_methods_encrypt_and_keep_null(session):
    session.bulk_save_objects([Node(id=i, secret=f"s{i}") for i in range(3)])
    session.bulk_insert_mappings(Node, [{"id": 10, "secret": "t"}, {"id": 11, "secret": None}])
    session.bulk_update_mappings(Node, [{"id": 0, "secret": "u"}, {"id": 10, "secret": None}])
    rows = session.execute(select(Node.id, Node.secret).order_by(Node.id)).all()
    assert rows == [(0, "u"), (1, "s1"), (2, "s2"), (10, None), (11, None)]


def test_defaults_of_every_kind_are_evaluated_once_and_encrypted(session):
    session.add(Stamped(id=1, plain="q"))
    session.commit()
    row = session.scalars(select(Stamped)).one()
    assert (row.fixed, row.called, row.derived, row.touched) == ("fixed", "called", "q!", None)
    row.plain = "changed"
    session.commit()
    session.expire_all()
    assert row.touched == "touched"
    assert all(bytes(v)[0] == 0xF6 for v in stored(session, "derived", "stamped"))


def test_history_and_attributes_hold_plain_values(session):
    patient = ada()
    session.add(patient)
    session.commit()
    assert patient.name == "Ada"
    patient.name = "Grace"
    history = inspect(patient).attrs.name.load_history()
    assert (history.added, history.deleted) == (["Grace"], ["Ada"])


def test_the_legacy_query_interface(session):
    session.add_all([ada(), ada(name="Bob", ssn="2")])
    session.commit()
    assert session.query(Patient).filter_by(ssn="2").one().name == "Bob"
    assert session.query(Patient).filter(Patient.ssn.in_(["2", "999-17-5017"])).count() == 2
    assert session.query(Patient.name).order_by(Patient.id).count() == 2
    assert session.query(session.query(Patient).filter_by(ssn="2").exists()).scalar()
    assert session.query(Patient).filter_by(ssn="2").update({"ward": "south"}) == 1
    assert session.query(Patient).filter_by(ssn="2").delete() == 1


def test_one_object_moves_between_sessions(engine):
    with Session(engine, expire_on_commit=False) as first:
        patient = ada(ssn=None)
        visit = Visit(note="n", patient=patient)
        first.add(visit)
        first.commit()
    with Session(engine) as second:
        second.add(patient)
        patient.name = "Elsewhere"
        second.commit()
        second.refresh(patient)
        assert patient.name == "Elsewhere"
        second.delete(second.get(Visit, visit.id))
        second.delete(patient)
        second.commit()
