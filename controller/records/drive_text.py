"""A drive as people write it in one line: `serial=S,model=M[,capacity_bytes=N]`."""

from __future__ import annotations

import re

from pydantic import TypeAdapter, ValidationError

from certificate.statements.statement import Word
from controller.records.host_file import FileDrive, is_capacity

_WORD: TypeAdapter[str] = TypeAdapter(Word)


def read_drive(text: str) -> FileDrive:
    """Raises ValueError with what is wrong. A comma separates fields only before the next NAME=, because
    models contain commas.
    """
    fields: dict[str, str] = {}
    for part in re.split(r",(?=[a-z_]+=)", text):
        name, separator, value = part.partition("=")
        if not separator or not value or name in fields:
            raise ValueError(f"{part[:60]!r} is not NAME=VALUE, once")
        fields[name] = value
    capacity = fields.pop("capacity_bytes", "")
    if set(fields) != {"serial", "model"}:
        raise ValueError("a drive is serial=S,model=M[,capacity_bytes=N]")
    if not is_capacity(capacity):
        raise ValueError(f"{capacity[:40]!r} is not a number of bytes")
    for name, value in fields.items():
        try:
            _WORD.validate_python(value, strict=True)
        except ValidationError:
            raise ValueError(f"{name} is not printable ASCII, 120 characters at most") from None
    size = int(capacity) if capacity else None
    return FileDrive(serial=fields["serial"], model=fields["model"], capacity_bytes=size)
