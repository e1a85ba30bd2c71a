"""The database engine's calls: what is asked, what is made of the answers, what errors say."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.unit.vault.conftest import NewClient
from tests.unit.vault.fake_vault import Answer, FakeVault, errors, timed
from vaultdb.errors import VaultDenied, VaultError, VaultRejected, VaultUnavailable
from vaultdb.vault.answers import LEASE_GONE
from vaultdb.vault.client import VaultClient
from vaultdb.vault.leases import DatabaseRole, Lease, irrevocable_leases

PASSWORD = "SECRET-PASSWORD-of-a-lease"
CREDS = "vaultdb-database/creds/vaultdb-app-rw"
LEASED = Answer(
    body={
        "lease_id": f"{CREDS}/SECRET-LEASE-ID",
        "lease_duration": 60,
        "renewable": True,
        "data": {"username": "v_app", "password": PASSWORD},
    }
)


@pytest.fixture
def role(client: VaultClient) -> DatabaseRole:
    return DatabaseRole(client, "vaultdb-database/", "vaultdb-app-rw", lambda: 100.0)


def test_a_lease_is_read(fake: FakeVault, role: DatabaseRole) -> None:
    fake.script = lambda *_: LEASED
    lease = role.issue()
    assert fake.calls[-1] == ("GET", CREDS)
    assert (lease.user, lease.password, lease.renewable) == ("v_app", PASSWORD, True)
    assert (lease.obtained_at, lease.ttl, lease.expires_at) == (100.0, 60.0, 160.0)
    assert lease.token_generation == 1


def test_a_lease_knows_the_login_that_asked_for_it(fake: FakeVault, new_client: NewClient) -> None:
    dead: set[str | None] = set()
    client = new_client(timeout=5.0)
    role = DatabaseRole(client, "vaultdb-database", "vaultdb-app-rw")
    fake.script = lambda *_: errors(403, "permission denied") if not dead else LEASED

    def lookup() -> Answer:
        dead.add(fake.tokens[-1])
        return errors(403, "permission denied")

    fake.lookup = lookup
    assert role.issue().token_generation == client.token_generation == 2


def test_a_renewal_asks_for_the_whole_life(fake: FakeVault, role: DatabaseRole) -> None:
    asked: list[Any] = []
    fake.script = lambda *call: asked.append(call) or Answer(body={"lease_duration": 7})
    renewed = role.renew(a_lease(), 59.5)
    assert asked == [
        ("PUT", "sys/leases/renew", {"lease_id": "an-id", "increment": 60}),
    ]
    assert (renewed.obtained_at, renewed.ttl) == (100.0, 7.0)


def test_a_revocation_waits_for_the_database(fake: FakeVault, role: DatabaseRole) -> None:
    asked: list[Any] = []
    fake.script = lambda *call: asked.append(call) or Answer(204)
    role.revoke(a_lease())
    assert asked == [("PUT", "sys/leases/revoke", {"lease_id": "an-id", "sync": True})]


def test_a_static_role_says_when_its_password_changes(fake: FakeVault, role: DatabaseRole) -> None:
    data = {"username": "app", "password": PASSWORD, "ttl": 30, "rotation_period": 60}
    fake.script = lambda *_: Answer(body={"data": data})
    found = role.rotated_password()
    assert fake.calls[-1] == ("GET", "vaultdb-database/static-creds/vaultdb-app-rw")
    assert (found.user, found.password, found.valid_until) == ("app", PASSWORD, 130.0)


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (errors(400, "unknown role: nope"), VaultRejected, "check database.lease"),
        (errors(404, 'no handler for route "x". route'), VaultRejected, "nothing is mounted there"),
        (errors(400, "lease not found"), VaultRejected, LEASE_GONE),
        (
            errors(500, "1 error occurred:\n\t* unable to start transaction: failed to connect"),
            VaultUnavailable,
            "vault cannot reach the database",
        ),
        (
            errors(500, "failed to execute query: ERROR: SECRET (SQLSTATE 22012)"),
            VaultUnavailable,
            "the database refused to make the login",
        ),
        (
            errors(400, "failed to revoke entry: resp: nil err: ERROR: division by zero"),
            VaultUnavailable,
            "the database did not end the login",
        ),
        (errors(403, "permission denied"), VaultDenied, "its policy does not allow this"),
        (Answer(body={"data": {"username": "x"}}), VaultRejected, "has no data.password"),
        (
            Answer(body={"lease_id": "x", "lease_duration": "60", "data": LEASED.body["data"]}),
            VaultRejected,
            "no TTL in seconds",
        ),
    ],
)
def test_what_cannot_be_leased_is_explained(
    fake: FakeVault, role: DatabaseRole, answer: Answer, kind: type[VaultError], said: str
) -> None:
    fake.script = lambda *_: answer
    with pytest.raises(kind, match=said) as caught:
        role.issue()
    assert "SECRET" not in str(caught.value)


def test_a_database_that_is_down_does_not_keep_anybody_from_vault(
    fake: FakeVault, role: DatabaseRole
) -> None:
    fake.script = lambda *_: errors(500, "unable to start transaction: failed to connect to")
    for _ in range(5):
        assert timed(role.issue) < 1.0, "it is not tried again: that would not help"
    fake.script = lambda *_: LEASED
    assert role.issue().user == "v_app"


def test_irrevocable_leases_are_counted(fake: FakeVault, client: VaultClient) -> None:
    fake.script = lambda *_: Answer(body={"data": {"lease_count": 3, "counts": {}}})
    assert irrevocable_leases(client) == 3
    assert fake.calls[-1] == ("GET", "sys/leases/count?type=irrevocable")


def test_nothing_secret_is_shown(fake: FakeVault, role: DatabaseRole) -> None:
    fake.script = lambda *_: LEASED
    lease = role.issue()
    assert "SECRET" not in f"{lease!r} {lease} {role!r} {[lease]}"
    assert repr(role) == "<DatabaseRole vaultdb-database/vaultdb-app-rw>"


def test_followers_hear_of_each_login(fake: FakeVault, new_client: NewClient) -> None:
    heard: list[float] = []

    class Follower:
        def token_replaced(self) -> None:
            heard.append(time.monotonic())

    client = new_client()
    follower = Follower()
    client.tell(follower)
    client.log_in()
    client.close()
    client.log_in()
    assert len(heard) == 2
    assert client.token_generation == 2, "a number is not used twice, or old leases look alive"


def a_lease() -> Lease:
    return Lease("v_app", PASSWORD, "an-id", 0.0, 60.0, renewable=True, token_generation=1)
