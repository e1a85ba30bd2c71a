"""The routes. Nothing in here knows that columns are encrypted."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

import vaultdb
from clinic.caller import CurrentCaller
from clinic.database import CurrentSession
from clinic.models import Patient


class PatientIn(BaseModel):
    name: str = Field(min_length=1)
    ssn: str = Field(pattern=r"^\d{3}-\d{2}-\d{4}$")
    born: date
    notes: str | None = None


class PatientOut(PatientIn):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID


def create_app(engine: AsyncEngine | None = None) -> FastAPI:
    """Make the application; tests hand in an engine, production reads vaultdb.toml."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await app.state.engine.dispose()

    app = FastAPI(title="Clinic", lifespan=lifespan)
    app.state.engine = vaultdb.create_async_engine() if engine is None else engine
    app.add_exception_handler(vaultdb.KeyMissing, _unknown_practice)
    app.post("/patients", status_code=201)(add_patient)
    app.get("/patients/{patient_id}")(get_patient)
    app.post("/patients/search")(find_patient)
    app.patch("/patients/{patient_id}/notes")(write_notes)
    app.delete("/patients/{patient_id}", status_code=204)(delete_patient)
    return app


async def _unknown_practice(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"detail": "this practice has no keys"}, status_code=403)


async def add_patient(
    patient: PatientIn, session: CurrentSession, caller: CurrentCaller
) -> PatientOut:
    row = Patient(practice=caller.practice, **patient.model_dump())
    session.add(row)
    try:
        await session.commit()
    except IntegrityError:
        raise HTTPException(409, "this SSN is registered already") from None
    return PatientOut.model_validate(row)


async def get_patient(
    patient_id: uuid.UUID, session: CurrentSession, caller: CurrentCaller
) -> PatientOut:
    return PatientOut.model_validate(await _one(patient_id, session, caller))


class Search(BaseModel):
    """In the body, because a URL with an SSN ends up in every access log."""

    ssn: str


async def find_patient(
    search: Search, session: CurrentSession, caller: CurrentCaller
) -> list[PatientOut]:
    query = select(Patient).where(Patient.practice == caller.practice, Patient.ssn == search.ssn)
    return [PatientOut.model_validate(row) for row in await session.scalars(query)]


class Notes(BaseModel):
    notes: str | None


async def write_notes(
    patient_id: uuid.UUID, notes: Notes, session: CurrentSession, caller: CurrentCaller
) -> PatientOut:
    row = await _one(patient_id, session, caller)
    row.notes = notes.notes
    await session.commit()
    return PatientOut.model_validate(row)


async def delete_patient(
    patient_id: uuid.UUID, session: CurrentSession, caller: CurrentCaller
) -> None:
    await session.delete(await _one(patient_id, session, caller))
    await session.commit()


async def _one(patient_id: uuid.UUID, session: CurrentSession, caller: CurrentCaller) -> Patient:
    query = select(Patient).where(Patient.practice == caller.practice, Patient.id == patient_id)
    row = (await session.scalars(query)).one_or_none()
    if row is None:
        raise HTTPException(404, "no such patient")
    return row
