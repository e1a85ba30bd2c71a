"""pydantic models and dataclasses, through pydantic, as JSON."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from vaultdb.crypto.codecs.failure import bad_payload, refused
from vaultdb.crypto.json_text import dump_json
from vaultdb.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def is_structured(python_type: type) -> bool:
    """Tell whether a type is a dataclass or a pydantic model, without importing pydantic."""
    if dataclasses.is_dataclass(python_type):
        return True
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(python_type, pydantic.BaseModel)


@dataclass(frozen=True, slots=True)
class StructuredCodec:
    """Payload: canonical JSON of the fields by name. Padded to multiples of 16.

    Args:
        python_type: the dataclass or pydantic model.

    Raises:
        ConfigurationError: pydantic cannot describe one of its fields, or it has no equality.

    """

    python_type: Any

    type_tag: ClassVar[str] = "object"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = 16

    def __post_init__(self) -> None:
        if self.python_type.__eq__ is object.__eq__:
            raise ConfigurationError(
                f"{self.python_type.__name__} has no equality to tell a change by; "
                "declare the dataclass with eq=True"
            )
        _adapter(self.python_type)

    def encode(self, value: object) -> bytes:
        """Encode an instance that comes back equal.

        Reading it back here costs as much again, and catches what pydantic loses in silence: a
        `SecretStr` dumped as asterisks, an excluded field, a serialiser without its validator.
        """
        name = self.python_type.__name__
        if not isinstance(value, self.python_type):
            raise refused(name, f"a {name}")
        payload = self._dump(value)
        if payload is None or self._load(payload) != value:
            raise refused(name, f"a {name} whose fields all survive a round trip through JSON")
        return payload

    def decode(self, payload: bytes, version: int) -> Any:
        """Decode an instance, validated again."""
        value = self._load(payload) if version == 1 else None
        if value is None:
            raise bad_payload()
        return value

    def canonical(self, value: object) -> bytes:  # noqa: ARG002
        """Refuse: two equal objects need not be written alike (a set has no order)."""
        raise ConfigurationError(
            "a blind index cannot follow the equality of objects; index a scalar column instead"
        )

    def _dump(self, value: object) -> bytes | None:
        adapter = _complete_adapter(self.python_type)
        # Whatever pydantic raises may carry the value, so it is dropped, and so are its warnings.
        with suppress(Exception):
            fields = adapter.dump_python(
                value, mode="json", by_alias=False, round_trip=True, warnings="error"
            )
            return dump_json(fields)
        return None

    def _load(self, payload: bytes) -> Any:
        adapter = _complete_adapter(self.python_type)
        with suppress(Exception):
            return adapter.validate_json(payload, by_alias=False, by_name=True)
        return None


def _complete_adapter(python_type: Any) -> TypeAdapter[Any]:
    """Return the adapter once every name in the annotations is defined; classes may come later."""
    adapter = _adapter(python_type)
    if not adapter.pydantic_complete and not adapter.rebuild(raise_errors=False):
        raise ConfigurationError(
            f"an annotation of {python_type.__name__} names a type that is not defined; "
            "define it in the same module"
        )
    return adapter


@cache
def _adapter(python_type: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # noqa: PLC0415  # imported only by programs that use it
    from pydantic.errors import PydanticUserError  # noqa: PLC0415

    try:
        return TypeAdapter(python_type)
    except PydanticUserError as error:
        problem = str(error.message).splitlines()[0]
    raise ConfigurationError(f"pydantic cannot describe {python_type!r}: {problem}")
