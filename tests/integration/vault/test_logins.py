"""Every way to log in, on a real OpenBao."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.integration.vault.conftest import Place
from tests.unit.vault.fake_vault import Answer, fake_vault
from vaultdb.errors import VaultDenied
from vaultdb.settings import VaultSettings
from vaultdb.vault.client import VaultClient
from vaultdb.vault.endpoint import Endpoint
from vaultdb.vault.factory import new_client
from vaultdb.vault.login import (
    AppRoleLogin,
    CertLogin,
    JwtLogin,
    KubernetesLogin,
    TokenLogin,
    WrappedSecretId,
)
from vaultdb.vault.login.secret_file import secret_in


def policies(client: VaultClient) -> list[str]:
    found: list[str] = client.call(lambda vault: vault.auth.token.lookup_self())["data"]["policies"]
    return found


def assert_logged_in(place: Place, client: VaultClient) -> None:
    assert f"{place.mount}-app" in policies(client)
    client.close()


def test_approle_logs_in(place: Place) -> None:
    role_id, new_secret_id = place.approle()
    assert_logged_in(place, place.client(AppRoleLogin(role_id, new_secret_id)))


def test_approle_from_settings_and_a_secret_file(place: Place, tmp_path: Path) -> None:
    role_id, new_secret_id = place.approle()
    file = tmp_path / "secret-id"
    file.write_text(new_secret_id() + "\n")
    settings = VaultSettings.model_validate(
        {
            "addr": place.bao.addr,
            "ca_cert": place.bao.ca_cert,
            "role_id": role_id,
            "secret_id_file": file,
        }
    )
    assert_logged_in(place, new_client(settings))


def test_approle_with_a_wrong_secret_id(place: Place) -> None:
    role_id, _ = place.approle()
    client = place.client(AppRoleLogin(role_id, lambda: "11111111-2222-3333-4444-555555555555"))
    with pytest.raises(VaultDenied, match=r"approle login was refused: .*secret id"):
        client.log_in()


def test_a_used_up_secret_id_is_reported(place: Place) -> None:
    role_id, new_secret_id = place.approle(secret_id_num_uses=1)
    secret_id = new_secret_id()
    assert_logged_in(place, place.client(AppRoleLogin(role_id, lambda: secret_id)))
    with pytest.raises(VaultDenied, match="used up"):
        place.client(AppRoleLogin(role_id, lambda: secret_id)).log_in()


def wrap_secret_id(place: Place, role: str = "app") -> str:
    path = f"/v1/auth/approle/role/{place.mount}-{role}/secret-id"
    secret = place.admin.token
    admin = place.client(TokenLogin(lambda: secret))
    answer = admin.call(lambda vault: vault.adapter.post(path, wrap_ttl="60s"))
    admin.close()
    return str(answer["wrap_info"]["token"])


def test_a_wrapped_secret_id(place: Place, tmp_path: Path) -> None:
    role_id, _ = place.approle()
    file = tmp_path / "wrapped"
    file.write_text(wrap_secret_id(place))
    source = WrappedSecretId(secret_in(file, "here"), role=f"{place.mount}-app")
    client = place.client(AppRoleLogin(role_id, source), timeout=10.0)
    client.log_in()
    secret = client._keeper.token().secret
    place.admin.write("auth/token/revoke", token=secret)
    assert_logged_in(place, client)  # the opened secret id serves the second login, too
    assert client.counters.logins == 2


def test_a_stolen_wrapped_secret_id_is_an_alarm(place: Place) -> None:
    role_id, _ = place.approle()
    wrapped = wrap_secret_id(place)
    thief = WrappedSecretId(lambda: wrapped)
    place.client(AppRoleLogin(role_id, thief)).log_in()
    client = place.client(AppRoleLogin(role_id, WrappedSecretId(lambda: wrapped)))
    with pytest.raises(VaultDenied, match="somebody else has the secret id"):
        client.log_in()


def test_a_wrapping_token_of_another_origin_is_refused(place: Place) -> None:
    """A thief who took the secret id and left a wrapping token of his own making."""
    role_id, _ = place.approle()
    place.approle("rotator")
    for wrapped in (wrap_secret_id(place, "rotator"), forged_wrapping(place)):
        source = WrappedSecretId(lambda wrapped=wrapped: wrapped, role=f"{place.mount}-app")
        with pytest.raises(VaultDenied, match="somebody exchanged it"):
            place.client(AppRoleLogin(role_id, source)).log_in()


def forged_wrapping(place: Place) -> str:
    secret = place.admin.token
    admin = place.client(TokenLogin(lambda: secret))
    answer = admin.call(
        lambda vault: vault.adapter.post(
            "/v1/sys/wrapping/wrap", json={"secret_id": "forged"}, wrap_ttl="60s"
        )
    )
    admin.close()
    return str(answer["wrap_info"]["token"])


def mount_auth(place: Place, kind: str) -> str:
    path = f"{kind}-{place.mount}"
    place.admin.write(f"sys/auth/{path}", type=kind)
    return path


def test_a_jwt_logs_in(place: Place) -> None:
    key = ECKey.generate_key("P-256")
    mount = mount_auth(place, "jwt")
    place.admin.write(
        f"auth/{mount}/config",
        jwt_validation_pubkeys=[key.as_pem(private=False).decode()],
        bound_issuer="https://issuer",
    )
    place.admin.write(
        f"auth/{mount}/role/app",
        role_type="jwt",
        user_claim="sub",
        bound_audiences=["vaultdb"],
        token_policies=[place.policy("app")],
    )

    def token(audience: str = "vaultdb", ttl: int = 60) -> str:
        now = int(time.time())
        claims = {
            "iss": "https://issuer",
            "sub": "ci",
            "aud": audience,
            "iat": now,
            "exp": now + ttl,
        }
        return jwt.encode({"alg": "ES256"}, claims, key)

    assert_logged_in(place, place.client(JwtLogin("app", token, mount=mount)))
    for wrong in (lambda: token("another"), lambda: token(ttl=-3600), lambda: token() + "AA"):
        with pytest.raises(VaultDenied, match=r"the jwt login was refused: .*the JWT"):
            place.client(JwtLogin("app", wrong, mount=mount)).log_in()


def mount_cert(place: Place, authority: trustme.CA, common_name: str) -> str:
    """Mount the cert method with a role for certificates of this name; return the mount."""
    mount = mount_auth(place, "cert")
    place.admin.write(
        f"auth/{mount}/certs/app",
        certificate=authority.cert_pem.bytes().decode(),
        allowed_common_names=[common_name],
        token_policies=[place.policy("app")],
    )
    return mount


def test_a_tls_certificate(place: Place, tmp_path: Path) -> None:
    authority = trustme.CA()
    mount = mount_cert(place, authority, "app.example")

    def endpoint(name: str) -> Endpoint:
        issued = authority.issue_cert(name, common_name=name)
        cert, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(cert)
        issued.private_key_pem.write_to_path(key)
        return place.endpoint(client_cert=cert, client_key=key)

    assert_logged_in(place, VaultClient(endpoint("app.example"), CertLogin("app", mount=mount)))
    with pytest.raises(VaultDenied, match="no role accepts this client certificate"):
        VaultClient(endpoint("other.example"), CertLogin("app", mount=mount)).log_in()
    with pytest.raises(VaultDenied, match="the cert login was refused"):
        place.client(CertLogin("app", mount=mount)).log_in()


def test_a_replaced_certificate_is_used_at_the_next_login(place: Place, tmp_path: Path) -> None:
    authority = trustme.CA()
    mount = mount_cert(place, authority, "new.example")
    cert, key = tmp_path / "client.pem", tmp_path / "client.key"

    def issue(name: str) -> None:
        issued = authority.issue_cert(name, common_name=name)
        issued.cert_chain_pems[0].write_to_path(cert)
        issued.private_key_pem.write_to_path(key)

    issue("old.example")
    endpoint = place.endpoint(client_cert=cert, client_key=key)
    client = VaultClient(endpoint, CertLogin("app", mount=mount))
    with pytest.raises(VaultDenied):
        client.log_in()
    issue("new.example")
    time.sleep(1.05)
    assert_logged_in(place, client)


def service_account_token(name: str = "app") -> str:
    """A token as Kubernetes projects it into a pod; its signature is the API server's business."""
    claims = {
        "iss": "https://kubernetes.default.svc",
        "sub": f"system:serviceaccount:shop:{name}",
        "iat": int(time.time()) - 60,
        "nbf": int(time.time()) - 60,
        "exp": int(time.time()) + 600,
        "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": name, "uid": "uid-1"}},
    }

    def part(data: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256', 'kid': 'k'})}.{part(claims)}.{part('signature')}"


def test_a_service_account_token_logs_in(place: Place) -> None:
    """OpenBao asks the API server about the token; here a small HTTPS server answers for it."""
    certificates = place.bao.server.certificates
    with fake_vault(certificates) as kubernetes:

        def review(_: str, path: str, body: Any) -> Answer:
            assert path == "/apis/authentication.k8s.io/v1/tokenreviews"
            authenticated = body["spec"]["token"] == service_account_token_now
            user = {"username": "system:serviceaccount:shop:app", "uid": "uid-1"}
            status = {"authenticated": authenticated, "user": user if authenticated else {}}
            return Answer(201, body | {"status": status})

        kubernetes.script = review
        service_account_token_now = service_account_token()
        mount = mount_auth(place, "kubernetes")
        place.admin.write(
            f"auth/{mount}/config",
            kubernetes_host=kubernetes.addr,
            kubernetes_ca_cert=certificates.authority.read_text(),
            token_reviewer_jwt="reviewer",
            disable_local_ca_jwt=True,
        )
        place.admin.write(
            f"auth/{mount}/role/app",
            bound_service_account_names=["app"],
            bound_service_account_namespaces=["shop"],
            token_policies=[place.policy("app")],
        )
        assert_logged_in(
            place,
            place.client(KubernetesLogin("app", lambda: service_account_token_now, mount=mount)),
        )
        other = service_account_token("other")
        with pytest.raises(VaultDenied, match="kubernetes login was refused"):
            place.client(KubernetesLogin("app", lambda: other, mount=mount)).log_in()


def test_a_given_token(place: Place) -> None:
    secret = place.token("app")
    client = place.client(TokenLogin(lambda: secret))
    assert_logged_in(place, client)
    data = place.admin.write("auth/token/lookup", token=secret)["data"]
    assert data["ttl"] > 0, "it was not ours to revoke"
