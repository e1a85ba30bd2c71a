"""dict and list as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from vaultdb.crypto.codecs.failure import bad_payload, refused
from vaultdb.crypto.json_text import dump_json, equal_numbers, load_json


@dataclass(frozen=True, slots=True)
class DocumentCodec:
    """Payload: canonical JSON (see `json_text`). Padded to multiples of 16.

    The order of an object's keys is not kept, as in PostgreSQL's jsonb.

    Args:
        root: `dict` or `list`: what the document is outermost.

    """

    root: type

    type_tag: ClassVar[str] = "json"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = 16

    def encode(self, value: object) -> bytes:
        """Encode a document."""
        if not isinstance(value, self.root):
            raise refused(self.root.__name__, f"a {self.root.__name__}")
        return dump_json(value)

    def decode(self, payload: bytes, version: int) -> Any:
        """Decode a document."""
        if version == 1:
            try:
                value = load_json(payload)
            except (ValueError, RecursionError):  # carry the payload: dropped before ours is raised
                value = None
            if isinstance(value, self.root):
                return value
        raise bad_payload()

    def canonical(self, value: object) -> bytes:
        """Encode for a blind index: key order and the spelling of numbers do not count."""
        self.encode(value)
        return dump_json(equal_numbers(value))
