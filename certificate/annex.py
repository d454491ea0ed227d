"""The annex: what opens the commitments of an evidence file. For customer and auditor, never in a bundle.

    {"schema": 1, "order": "ord_...", "media": [{"commitment": "...", "salt": "...", "serial": "..."}]}

Rules: SHA-256 of the file's bytes is the `annex_digest` that the evidence signed; it is of the same order;
the entry of a medium opens its commitment. Whatever else stands in it (raw Identify pages, host facts) is
bound by the same digest and not interpreted here. A serial that nobody read is `not_observed` and opens
nothing. Source: FORMATS.md, "Statements" (Media).
"""

from __future__ import annotations

import hashlib
from typing import Any

from certificate import strict_json
from certificate.commitment import SALT_BYTES, medium_commitment
from certificate.errors import Code, Malformed, Untrusted
from certificate.statements import Evidence
from certificate.statements.statement import NOT_OBSERVED

#: A raw Identify page in hexadecimal a drive, 200 drives; stops memory exhaustion.
MAX_ANNEX_BYTES = 4_000_000


def open_serial(data: bytes, evidence: Evidence, commitment: str) -> str:
    """The serial number of the medium `commitment`, as the drive gave it.

    Raises Malformed (the codes of `strict_json`) or Untrusted(ANNEX_MISMATCH).
    """
    if hashlib.sha256(data).hexdigest() != evidence.annex_digest:
        raise Untrusted(Code.ANNEX_MISMATCH, "the evidence was signed with another annex")
    document = strict_json.load_object(data, max_bytes=MAX_ANNEX_BYTES, what="annex")
    schema = document.get("schema")
    if schema != 1 or isinstance(schema, bool):
        raise Malformed(Code.UNSUPPORTED, f"annex schema {str(schema)[:20]}")
    if document.get("order") != evidence.order:
        raise Untrusted(Code.ANNEX_MISMATCH, "the annex is of another order")
    media = document.get("media")
    entries = [each for each in media if isinstance(each, dict)] if isinstance(media, list) else []
    named = [each for each in entries if each.get("commitment") == commitment]
    if len(named) != 1:
        raise Untrusted(Code.ANNEX_MISMATCH, "the annex does not name this medium exactly once")
    return _opened(named[0], commitment)


def _opened(entry: dict[str, Any], commitment: str) -> str:
    salt, serial = entry.get("salt"), entry.get("serial")
    if not isinstance(salt, str) or not isinstance(serial, str) or serial == NOT_OBSERVED:
        raise Untrusted(Code.ANNEX_MISMATCH, "the annex has no salt or no serial for this medium")
    try:
        salt_bytes = bytes.fromhex(salt)
    except ValueError:
        raise Malformed(Code.MALFORMED, "annex: a salt is not hexadecimal") from None
    if len(salt_bytes) != SALT_BYTES or medium_commitment(salt=salt_bytes, serial=serial) != commitment:
        raise Untrusted(Code.ANNEX_MISMATCH, "salt and serial do not open the commitment of this medium")
    return serial
