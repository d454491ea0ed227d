"""How a medium and a host appear in signed documents: salted commitments, and words that identify nobody."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from certificate.statements.statement import (
    Count,
    Digest,
    Model,
    NotApplicable,
    NotObserved,
    RawHex,
    Seen,
    Word,
)
from certificate.statements.vocabulary import DeviceClass, HostFactKind, Transport

#: A disk with an encryption layer on each of its partitions; more are an attack on whoever reads.
MAX_LAYERS = 32


class Medium(Model):
    """One medium. The serial, EUI and NGUID stand in the annex; here only their salted commitment."""

    commitment: Digest
    transport: Transport | NotObserved
    device_class: DeviceClass
    manufacturer: Word | NotObserved
    model: Word | NotObserved
    firmware: Word | NotObserved
    #: All the device says it has, unallocated capacity included.
    capacity_bytes: Count | NotObserved
    native_capacity_bytes: Count | NotObserved | NotApplicable
    logical_block_bytes: Count | NotObserved


class CapabilityWord(Model):
    """A capability field exactly as the device sent it, under the standard's own name (`SANICAP`, `FNA`)."""

    field: Word
    raw: RawHex | NotObserved


class Namespace(Model):
    """One NVMe namespace. `raw_size_words`: NSZE, NCAP, FLBAS, MC, DPS as sent, in that order."""

    nsid: Annotated[int, Field(ge=1, le=0xFFFFFFFE)]
    capacity_bytes: Count | NotObserved
    logical_block_bytes: Count | NotObserved
    is_attached: Seen
    is_covered: Seen


#: DESIGN, "On the machine": signs of a host's identity that must agree. Two may be swapped together with one
#: part
#: (board serial and DMI UUID with a mainboard); a third is independent of it.
MIN_HOST_FACTS = 3


class HostFact(Model):
    """One sign of a host's identity, as a commitment under the host's salt."""

    kind: HostFactKind
    commitment: Digest


class Host(Model):
    """A host as an order names it. `commitment` is `commitment.host_commitment(facts)`."""

    commitment: Digest
    facts: Annotated[tuple[HostFact, ...], Field(min_length=MIN_HOST_FACTS, max_length=10)]
