"""What the clinic promises, over HTTP and down to the stored bytes."""

from __future__ import annotations

import uuid

import pytest
from clinic.models import Patient
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import vaultdb
from vaultdb.testing import assert_encrypted

pytestmark = pytest.mark.asyncio

ADA = {"name": "Ada Lovelace", "ssn": "999-12-3456", "born": "1990-01-02", "notes": None}
NORTH = {"X-User": "dr-jones", "X-Practice": "north"}
SOUTH = {"X-User": "dr-smith", "X-Practice": "south"}


async def test_a_patient_is_stored_encrypted_and_found_by_ssn(
    client: AsyncClient, engine: AsyncEngine
) -> None:
    created = await client.post("/patients", json=ADA, headers=NORTH)
    assert created.status_code == 201, created.text

    found = await client.post("/patients/search", json={"ssn": ADA["ssn"]}, headers=NORTH)

    assert found.json() == [created.json()]
    with vaultdb.acting_as("test", tenant="north"):
        async with AsyncSession(engine) as session:
            row = await session.get_one(Patient, uuid.UUID(created.json()["id"]))
            for attribute in ("name", "ssn", "born"):
                await session.run_sync(assert_encrypted, row, attribute)


async def test_an_ssn_is_registered_once_in_a_practice_and_freely_in_another(
    client: AsyncClient,
) -> None:
    statuses = [
        (await client.post("/patients", json=ADA, headers=headers)).status_code
        for headers in (NORTH, NORTH, SOUTH)
    ]

    assert statuses == [201, 409, 201]


async def test_a_practice_sees_only_its_own_patients(client: AsyncClient) -> None:
    created = (await client.post("/patients", json=ADA, headers=NORTH)).json()

    assert (await client.get(f"/patients/{created['id']}", headers=SOUTH)).status_code == 404
    search = await client.post("/patients/search", json={"ssn": ADA["ssn"]}, headers=SOUTH)
    assert search.json() == []


async def test_a_row_moved_to_another_practice_behind_the_application_does_not_decrypt(
    client: AsyncClient, engine: AsyncEngine
) -> None:
    created = (await client.post("/patients", json=ADA, headers=NORTH)).json()
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE patient SET practice = 'south'"))

    with pytest.raises(vaultdb.DecryptionError):
        await client.get(f"/patients/{created['id']}", headers=SOUTH)


async def test_notes_are_written_erased_and_the_patient_deleted(client: AsyncClient) -> None:
    path = f"/patients/{(await client.post('/patients', json=ADA, headers=NORTH)).json()['id']}"

    written = await client.patch(f"{path}/notes", json={"notes": "allergic: 花粉"}, headers=NORTH)
    assert written.json()["notes"] == "allergic: 花粉"
    assert (await client.get(path, headers=NORTH)).json()["notes"] == "allergic: 花粉"

    await client.patch(f"{path}/notes", json={"notes": None}, headers=NORTH)
    assert (await client.get(path, headers=NORTH)).json()["notes"] is None

    assert (await client.delete(path, headers=NORTH)).status_code == 204
    assert (await client.get(path, headers=NORTH)).status_code == 404


async def test_nobody_gets_in_without_saying_who_they_are(client: AsyncClient) -> None:
    assert (await client.post("/patients", json=ADA)).status_code == 401
