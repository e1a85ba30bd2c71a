"""Settings come from a file, a profile, a role and the environment, in a known order."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from vaultdb.errors import ConfigurationError
from vaultdb.settings import Settings
from vaultdb.settings.audit import AUDIT_MODE
from vaultdb.settings.env import settings_of
from vaultdb.settings.model import MEMORY_REALM

REALM = "6f1d2c3b-0000-4000-8000-7e57da7aba5e"
SECRET = "hunter2-not-for-eyes"

FILE = f"""
realm = "{REALM}"
tenant = "from-file"

[database]
url = "postgresql://app@db/clinic"
password_file = "secrets/app"

[vault]
addr = "https://vault:8200"
role_id = "app-role"
secret_id_file = "secrets/app-id"

[profile.test]
keys = "memory"
tenant = "from-profile"

[role.officer.vault]
role_id = "officer-role"
wrapped_secret_id_file = "/run/officer"

[role.officer.database]
url = "postgresql://officer@db/clinic"

[profile.test.role.officer.vault]
role_id = "test-officer"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "vaultdb.toml"
    path.write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return path


def test_the_nearest_file_above_the_working_directory_is_read(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert Settings.load().tenant == "from-file"


def test_the_search_ends_at_the_home_directory(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    with pytest.raises(ConfigurationError, match=r"no vaultdb\.toml was found"):
        Settings.load()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chown")
def test_a_file_of_another_user_is_not_used_unless_it_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else anybody who may write above the working directory chooses who gets the secret id."""
    os.chown(file, 12345, 12345)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        Settings.load()
    monkeypatch.setenv("VAULTDB_CONFIG", str(file))
    assert Settings.load().tenant == "from-file"


def test_the_environment_wins_over_profile_and_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings.load(profile="test").tenant == "from-profile"
    monkeypatch.setenv("VAULTDB_TENANT", "from-environment")
    assert Settings.load(profile="test").tenant == "from-environment"
    assert Settings.load(tenant="from-call").tenant == "from-call"


def test_an_empty_variable_sets_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULTDB_TENANT", "")
    assert Settings.load().tenant == "from-file"


def test_the_profile_can_come_from_the_environment(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_PROFILE", "test")
    assert Settings.load().keys == "memory"


def test_a_role_overlays_the_app_and_the_profile_overlays_the_role(file: Path) -> None:
    officer = Settings.load(role="officer")
    assert officer.vault.role_id == "officer-role"
    assert officer.vault.addr == "https://vault:8200"
    assert Settings.load(role="officer", profile="test").vault.role_id == "test-officer"


def test_a_role_in_the_file_wins_over_the_apps_variables(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_VAULT_ROLE_ID", "app-from-environment")
    assert Settings.load().vault.role_id == "app-from-environment"
    assert Settings.load(role="officer").vault.role_id == "officer-role"
    monkeypatch.setenv("VAULTDB_OFFICER_VAULT_ROLE_ID", "officer-from-environment")
    assert Settings.load(role="officer").vault.role_id == "officer-from-environment"


def test_another_login_does_not_inherit_the_apps_password(file: Path) -> None:
    assert Settings.load().database.password_file is not None
    assert Settings.load(role="officer").database.password_file is None


def test_another_kind_of_secret_id_replaces_the_first(file: Path) -> None:
    officer = Settings.load(role="officer").vault
    assert officer.secret_id_file is None
    assert officer.wrapped_secret_id_file == Path("/run/officer")


def test_the_migrator_never_falls_back_to_the_apps_login(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Settings.load(role="migrator").database
    assert database.url is None
    assert database.password_file is None
    monkeypatch.setenv("VAULTDB_MIGRATE_URL", "postgresql://migrator@db/clinic")
    url = Settings.load(role="migrator").database.url
    assert url is not None
    assert url.get_secret_value() == "postgresql://migrator@db/clinic"


def test_migrate_url_in_the_environment_wins_over_the_role_in_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(FILE + '[role.migrator.database]\nurl = "postgresql://filed@db/clinic"\n')
    monkeypatch.setenv("VAULTDB_MIGRATE_URL", "postgresql://given@db/clinic")
    url = Settings.load(role="migrator").database.url
    assert url is not None
    assert "given" in url.get_secret_value()


def test_file_names_in_the_file_are_relative_to_the_file(file: Path) -> None:
    assert Settings.load().database.password_file == file.parent / "secrets" / "app"


def test_the_word_system_is_no_file_name(file: Path) -> None:
    file.write_text(FILE.replace("[vault]", 'sslrootcert = "system"\n[vault]'))
    assert str(Settings.load().database.sslrootcert) == "system"


def test_memory_keys_need_no_realm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert Settings.load(keys="memory").realm == MEMORY_REALM


def test_minimum_versions_can_be_written_as_text(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_MINIMUM_VERSIONS", "default=3, pii=2")
    assert Settings.load().keyring.minimum_versions == {"default": 3, "pii": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[database]\nulr = 'x'", r"unknown setting database\.ulr; did you mean database\.url\?"),
        ("pooler = 'x'", "unknown setting pooler"),
        (
            "[database]\npooler = 'x'",
            r"setting database\.pooler: .* set VAULTDB_POOLER, or pooler in \[database\]",
        ),
        ("[keyring]\nsoft_ttl = 5\nhard_ttl = 1", "setting keyring: hard_ttl is shorter"),
        ("profile = 3", r"write it as tables, \[profile\.NAME\]"),
        ("[profile]\ntest = 3", r"write it as tables, \[profile\.NAME\]"),
        ("realm = ", "not valid TOML"),
        ("realm = 5", "setting realm: UUID input should be"),
        ("[databse]\nurl = 'x'", r"unknown setting databse; did you mean database\?"),
        (
            "[role.offizer.vault]\nrole_id = 'x'",
            "there is no role offizer, write one of app, reader, offi",
        ),
        ("[profile.p.role.rotor]", "there is no role rotor"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_remedy(
    file: Path, text: str, message: str
) -> None:
    file.write_text(f'realm = "{REALM}"\n{text}\n' if "realm" not in text else text)
    with pytest.raises(ConfigurationError, match=message):
        Settings.load()


def test_a_missing_realm_names_variable_and_key(file: Path) -> None:
    file.write_text("")
    with pytest.raises(ConfigurationError, match="set VAULTDB_REALM, or realm at the top of"):
        Settings.load()


def test_without_a_file_the_dev_stacks_is_recalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"no vaultdb\.toml was found.*vaultdb dev env"):
        Settings.load()


def test_an_unknown_profile_names_the_known_ones(file: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no \[profile\.prod\] in .*; known: test"):
        Settings.load(profile="prod")


def test_a_file_that_is_named_must_exist(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULTDB_CONFIG", "/nowhere/vaultdb.toml")
    with pytest.raises(ConfigurationError, match="no settings file /nowhere"):
        Settings.load()


def test_a_file_that_everybody_may_write_is_refused(file: Path) -> None:
    file.chmod(0o666)
    with pytest.raises(ConfigurationError, match=r"writable by everybody; run: chmod o-w"):
        Settings.load()


def test_secrets_are_in_no_text_and_no_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PASSWORD", "VAULT_SECRET_ID", "VAULT_TOKEN"):
        monkeypatch.setenv(f"VAULTDB_{name}", SECRET)
    monkeypatch.setenv("VAULTDB_URL", f"postgresql://app:{SECRET}@db/clinic")
    settings = Settings.load()
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert SECRET not in settings.model_dump_json()
    monkeypatch.setenv("VAULTDB_CONNECT_TIMEOUT", SECRET)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_password_file_that_cannot_be_read_is_named(file: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"database\.password_file: cannot read .*app"):
        Settings.load().database.read_password()


def test_the_line_end_of_a_password_file_is_no_part_of_the_password(file: Path) -> None:
    secret = file.parent / "secrets" / "app"
    secret.parent.mkdir()
    secret.write_text("pass word \n")
    assert Settings.load().database.read_password() == "pass word "


def test_settings_cannot_be_changed(file: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().tenant = "x"  # type: ignore[misc]


def test_every_variable_has_one_meaning_and_no_role_hides_one() -> None:
    names = [setting.variable for setting in settings_of(Settings)]
    assert len(names) == len(set(names))
    roles = ("APP_", "OFFICER_", "ROTATOR_", "MIGRATOR_", "REENCRYPTOR_")
    assert not [name for name in names if name.startswith(roles)]


def test_every_setting_is_in_the_reference() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text()
    for setting in settings_of(Settings):
        assert f"`{setting.key}`" in page, setting.key
        assert f"`VAULTDB_{setting.variable}`" in page, setting.variable


def test_settings_know_the_role_that_they_were_loaded_for(file: Path) -> None:
    officer = Settings.load(role="officer")
    assert officer.role == "officer"
    assert officer.model_copy(update={"tenant": "x"}).role == "officer"
    assert Settings.load().role is None


def test_settings_survive_a_pickle(file: Path) -> None:
    settings = Settings.load(role="officer")
    assert pickle.loads(pickle.dumps(settings)).role == "officer"
    assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize("keys", ["memory", "local"])
def test_providers_for_tests_and_development_are_not_audited_unless_told(
    file: Path, keys: str
) -> None:
    assert Settings.load(keys=keys).audit_mode == "off"
    assert Settings.load(keys=keys, audit={"mode": "relaxed"}).audit_mode == "relaxed"


def test_the_audit_mode_can_be_set_by_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().audit_mode == AUDIT_MODE
    monkeypatch.setenv("VAULTDB_AUDIT_MODE", "strict")
    assert Settings.load().audit_mode == "strict"
    monkeypatch.setenv("VAULTDB_AUDIT_MODE", "loose")
    with pytest.raises(ConfigurationError, match=r"setting audit\.mode: .*VAULTDB_AUDIT_MODE"):
        Settings.load()
