"""A response-wrapped secret id is opened once, and a used one is an alarm."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.vault.conftest import NewClient
from tests.unit.vault.fake_vault import SECRET_ID, Answer, FakeVault, errors
from vaultdb.errors import VaultDenied, VaultUnavailable
from vaultdb.vault.login import AppRoleLogin, WrappedSecretId

ORIGIN = "auth/approle/role/vaultdb-app/secret-id"
USED = errors(400, "wrapping token is not valid or does not exist")


class Wrapping:
    """The wrapping endpoints of a Vault."""

    def __init__(self, fake: FakeVault, origin: str = ORIGIN) -> None:
        self.fake = fake
        self.origin = origin
        self.opened = 0
        self.unwrap: Any = lambda: Answer(body={"data": {"secret_id": SECRET_ID}})
        fake.script = self.answer

    def answer(self, _: str, path: str, body: Any) -> Answer:
        if path == "sys/wrapping/lookup":
            return USED if self.opened else Answer(body={"data": {"creation_path": self.origin}})
        if path == "sys/wrapping/unwrap":
            self.opened += 1
            return USED if self.opened > 1 else self.unwrap()
        return Answer(body={"data": {}})


def login(role: str | None = "vaultdb-app", token: str = "s.wrapping") -> AppRoleLogin:
    return AppRoleLogin("role-id", WrappedSecretId(lambda: token, role=role))


def test_it_is_looked_up_opened_under_itself_and_used(
    fake: FakeVault, new_client: NewClient
) -> None:
    Wrapping(fake)
    client = new_client(method=login())
    client.log_in()
    paths = [path for _, path in fake.calls]
    assert paths == ["sys/wrapping/lookup", "sys/wrapping/unwrap", "auth/approle/login"]
    assert fake.tokens == [None, "s.wrapping", None]


@pytest.mark.parametrize(
    "origin",
    [
        "sys/wrapping/wrap",
        "auth/approle/role/other/secret-id",
        "auth/approle/role/vaultdb-app/secret-id/lookup",
        "auth/other/role/vaultdb-app/secret-id",
        "cubbyhole/response",
    ],
)
def test_one_that_was_made_elsewhere_is_refused_unopened(
    fake: FakeVault, new_client: NewClient, origin: str
) -> None:
    wrapping = Wrapping(fake, origin)
    with pytest.raises(VaultDenied, match="somebody exchanged it"):
        new_client(method=login()).log_in()
    assert wrapping.opened == 0


def test_a_used_one_is_an_alarm(fake: FakeVault, new_client: NewClient) -> None:
    Wrapping(fake).opened = 1
    with pytest.raises(VaultDenied, match="somebody else has the secret id") as caught:
        new_client(method=login()).log_in()
    assert "s.wrapping" not in str(caught.value)
    assert fake.count("auth/approle/login") == 0


def test_one_that_somebody_opens_between_look_and_use_is_an_alarm(
    fake: FakeVault, new_client: NewClient
) -> None:
    Wrapping(fake).unwrap = lambda: USED
    with pytest.raises(VaultDenied, match="somebody else has the secret id"):
        new_client(method=login()).log_in()


def test_it_is_opened_once_in_the_life_of_a_process(fake: FakeVault, new_client: NewClient) -> None:
    wrapping = Wrapping(fake)
    method = login()
    for _ in range(3):
        new_client(method=method).log_in()
    assert wrapping.opened == 1


def test_a_lost_answer_is_not_asked_for_again(fake: FakeVault, new_client: NewClient) -> None:
    """The token is used up by then; a second try could not tell that from theft."""
    wrapping = Wrapping(fake)
    wrapping.unwrap = lambda: Answer(hang_up=True)
    client = new_client(method=login())
    with pytest.raises((VaultDenied, VaultUnavailable)):
        client.log_in()
    with pytest.raises(VaultDenied, match="opened before"):
        client.log_in()
    assert wrapping.opened == 1


def test_a_new_token_in_the_file_is_opened(fake: FakeVault, new_client: NewClient) -> None:
    wrapping = Wrapping(fake)
    wrapping.opened = 1
    current = ["s.stolen"]
    method = AppRoleLogin("role-id", WrappedSecretId(lambda: current[0]))
    with pytest.raises(VaultDenied):
        new_client(method=method).log_in()
    wrapping.opened, current[0] = 0, "s.fresh"
    new_client(method=method).log_in()
    assert "s.fresh" in fake.tokens
