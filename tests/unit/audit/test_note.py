"""Signed checkpoints, as standard witnesses read them."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vaultdb.audit.note import Checkpoint, NoteError, SignedNote, VerifierKey, origin_of
from vaultdb.errors import ConfigurationError

PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey("vaultdb-audit/clinic", PRIVATE_KEY.public_key().public_bytes_raw())
OTHER = VerifierKey("witness", Ed25519PrivateKey.generate().public_key().public_bytes_raw())
CHECKPOINT = Checkpoint("vaultdb-audit/clinic", 96_700, bytes(range(32)))

# The example of the C2SP specification of signed notes (key PeterNeumann of golang.org/x/mod).
FOREIGN_KEY = VerifierKey.parse(
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
)
FOREIGN_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngot"
    "pRZb6KE6RyyBwJnAM=\n"
)


def signed(text: str) -> SignedNote:
    return SignedNote.signed(text, KEY, PRIVATE_KEY.sign(text.encode()))


def test_a_note_of_another_tool_verifies() -> None:
    assert SignedNote.parse(FOREIGN_NOTE).verify(FOREIGN_KEY) == FOREIGN_KEY


def test_a_checkpoint_survives_writing_and_reading() -> None:
    note = SignedNote.parse(str(signed(CHECKPOINT.text())))

    assert note.verify(OTHER, KEY) == KEY
    assert Checkpoint.parse(note.text) == CHECKPOINT


def test_a_signature_line_names_the_key_and_begins_with_its_hash() -> None:
    line = str(signed(CHECKPOINT.text())).splitlines()[-1]
    dash, name, encoded = line.split(" ")

    assert (dash, name) == ("—", "vaultdb-audit/clinic")
    assert base64.b64decode(encoded)[:4] == KEY.hash


def test_signatures_of_witnesses_do_not_disturb() -> None:
    note = str(signed(CHECKPOINT.text())) + f"— witness {base64.b64encode(bytes(76)).decode()}\n"

    assert SignedNote.parse(note).verify(KEY) == KEY


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("96700", "96701"),
        lambda note: note.replace("vaultdb-audit/clinic\n", "vaultdb-audit/office\n", 1),
        lambda note: note.replace("AAEC", "AAED", 1),
    ],
    ids=["size", "origin", "root"],
)
def test_a_changed_checkpoint_is_not_accepted(change: object) -> None:
    note = str(signed(CHECKPOINT.text()))
    changed = change(note)  # type: ignore[operator]
    assert changed != note

    with pytest.raises(NoteError, match="signature of the note is wrong"):
        SignedNote.parse(changed).verify(KEY)


def test_a_key_that_is_not_trusted_signs_nothing() -> None:
    with pytest.raises(NoteError, match="not signed by a key that is trusted"):
        signed(CHECKPOINT.text()).verify(OTHER)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n",
        "origin\n1\n",
        "\n1\nAAAA\n",
        f"origin\n-1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"origin\n01\n{base64.b64encode(bytes(32)).decode()}\n",
        f"origin\n²\n{base64.b64encode(bytes(32)).decode()}\n",
        f"origin\n{'9' * 20}\n{base64.b64encode(bytes(32)).decode()}\n",
        "origin\n1\nAAAA\n",
        "origin\n1\n!!!!\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— name\n",
        "text\n\n— name AAAA\n",
        "text\n\nname AAAAAAAA\n",
        "text\n\n— name ÄÄÄÄ\n",
        "text\n\n— name AAAAAAAA",
    ],
)
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(NoteError):
        SignedNote.parse(note)


def test_a_verifier_key_survives_writing_and_reading() -> None:
    assert VerifierKey.parse(f"{KEY}\n") == KEY


@pytest.mark.parametrize(
    "text",
    ["", "name", "name+00000000", "name+00000000+!!", str(KEY).replace("clinic", "office")],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.parse(text)


def test_a_log_that_began_anew_has_another_name() -> None:
    assert origin_of("clinic") == "vaultdb-audit/clinic"
    assert origin_of("clinic", 2) == "vaultdb-audit/clinic/2"


@pytest.mark.parametrize("realm", ["", "a b", "a+b", "a\nb"])
def test_a_realm_that_cannot_name_a_log_is_refused(realm: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot name an audit log"):
        origin_of(realm)
