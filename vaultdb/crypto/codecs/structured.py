"""pydantic models and dataclasses, through pydantic, as JSON."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from vaultdb.crypto.codecs.failure import bad_payload, refused
from vaultdb.crypto.json_text import dump_json, load_json
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

    :param python_type: the dataclass or pydantic model.
    :raises ConfigurationError: pydantic cannot describe one of its fields.
    """

    python_type: Any

    type_tag: ClassVar[str] = "object"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = 16

    def __post_init__(self) -> None:
        _adapter(self.python_type)

    def encode(self, value: object) -> bytes:
        """Encode an instance; its fields must hold what they are declared to hold."""
        name = self.python_type.__name__
        if not isinstance(value, self.python_type):
            raise refused(name, f"a {name}")
        try:
            # warnings="error": pydantic would print the value of a field of the wrong type.
            fields = _adapter(self.python_type).dump_python(
                value, mode="json", by_alias=False, round_trip=True, warnings="error"
            )
        except Exception:  # noqa: BLE001  # any of its errors may carry the value
            fields = _FAILED
        if fields is _FAILED:
            raise refused(name, f"a {name} whose fields are of their declared types")
        return dump_json(fields)

    def decode(self, payload: bytes, version: int) -> Any:
        """Decode an instance, validated again."""
        value: Any = _FAILED
        if version == 1:
            try:
                fields = load_json(payload)
                value = _adapter(self.python_type).validate_python(
                    fields, by_alias=False, by_name=True
                )
            except Exception:  # noqa: BLE001  # any of its errors may carry the value
                value = _FAILED
        if value is _FAILED:
            raise bad_payload()
        return value

    def canonical(self, value: object) -> bytes:  # noqa: ARG002
        """Refuse: two equal objects need not be written alike (a set has no order)."""
        raise ConfigurationError(
            "a blind index cannot follow the equality of objects; index a scalar column instead"
        )


_FAILED = object()


@cache
def _adapter(python_type: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # noqa: PLC0415  # imported only by programs that use it
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError  # noqa: PLC0415

    try:
        return TypeAdapter(python_type)
    except PydanticUndefinedAnnotation as error:
        problem = f"the name {error.name!r} is not defined yet"
    except PydanticUserError as error:
        problem = str(error.message).splitlines()[0]
    raise ConfigurationError(f"pydantic cannot describe {python_type!r}: {problem}")
