"""Keyed pseudonyms: how tables, ledger and signed documents name people and their contracts.

Rules: one domain a kind, so that a subscription and a customer of the same text never share a pseudonym; the
same text gives the same pseudonym while the key lives, and nobody can link it afterwards. Plain text stands
in the private tables only. Source: FORMATS.md, "Statements" (subscription as a keyed pseudonym).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from certificate.commitment import pseudonym
from certificate.identifiers import TenancyId


@dataclass(frozen=True)
class Pseudonyms:
    """`key`: 32 bytes of the keyring."""

    key: bytes = field(repr=False)

    def subscription(self, text: str) -> str:
        """Of a subscription as its source names it. 64 hexadecimal digits."""
        return pseudonym(key=self.key, domain="subscription/v1", value=text)

    def tenancy(self, tenancy: TenancyId) -> str:
        return pseudonym(key=self.key, domain="tenancy/v1", value=tenancy)

    def customer(self, text: str) -> str:
        """Of whoever a host is let to or belongs to, as the provider names them."""
        return pseudonym(key=self.key, domain="customer/v1", value=text)

    def place(self, text: str) -> str:
        """Of a site or a machine as the provider names it."""
        return pseudonym(key=self.key, domain="place/v1", value=text)
