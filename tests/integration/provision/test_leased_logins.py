"""What a leased login is, can and cannot do."""

from __future__ import annotations

import psycopg
import pytest

from tests.fixtures.leasing import NAMES, Leasing
from vaultdb.provision.lease_roles import login_of
from vaultdb.vault.lease_names import Lease


@pytest.mark.parametrize("lease", Lease)
def test_a_leased_login_is_a_member_of_one_capability_and_nothing_else(
    leasing: Leasing, lease: Lease
) -> None:
    with psycopg.connect(leasing.url_of(lease), autocommit=True) as connection:
        user, groups = connection.execute(
            "SELECT session_user, ARRAY(SELECT roleid::regrole::text FROM pg_auth_members"
            " WHERE member = session_user::regrole)"
        ).fetchone() or ("", [])
        assert user.startswith(f"v_{lease.engine_role.replace('-', '_')}_")
        assert groups == [login_of(lease, NAMES).capability]
        connection.execute("SET default_transaction_read_only = off")
        for statement in (
            "CREATE ROLE x",
            "SET ROLE vaultdb_admin",
            "GRANT pg_read_all_data TO CURRENT_USER",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_revoking_a_lease_ends_its_sessions_and_drops_the_login(leasing: Leasing) -> None:
    with psycopg.connect(leasing.url_of("migrator"), autocommit=True) as connection:
        connection.execute("CREATE TABLE made_by_a_leased_migrator (id int)")
        leasing.revoke_all()
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            connection.execute("SELECT 1")
    assert leasing.leased_users() == []
