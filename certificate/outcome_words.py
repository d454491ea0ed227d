"""What an outcome says beside its claim, as the fields of NIST SP 800-88r2, 4.6 ask: computed from order and
evidence by whoever writes it, and again by whoever verifies it (`agreement`). Pure.

Rules: the standard is that of the technique that was sent last; a key counts as destroyed only where a
cryptographic technique was sent, or every copy of a layer's header reads otherwise and none was found again;
a marker is as expected only as its technique leaves it. The texts of the standards were not at hand: clauses
are those that the modules cite which send the commands (docs/standards.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from certificate.statements.evidence import Layer, MediumEvidence
from certificate.statements.medium import Medium
from certificate.statements.outcome import Claim, CryptographicErase
from certificate.statements.plan import PlannedMedium
from certificate.statements.statement import NOT_OBSERVED, NotApplicable, NotObserved, Seen
from certificate.statements.vocabulary import (
    Destination,
    DeviceClass,
    Escrow,
    MarkerReading,
    Method,
    Result,
    Technique,
)

_NOT_APPLICABLE: NotApplicable = "not_applicable"

_SANITIZE: Final = "NVM Express Base 2.0, 5.24 Sanitize"
_FORMAT: Final = "NVM Express Base 2.0, 5.14 Format NVM"
_OVERWRITE: Final = "NIST SP 800-88r2, 3.1.1 Clear: overwrite of every addressable block"

CLAUSES: Final[dict[Technique, str]] = {
    Technique.NVME_SANITIZE_CRYPTO: f"{_SANITIZE}: crypto erase",
    Technique.NVME_SANITIZE_BLOCK: f"{_SANITIZE}: block erase",
    Technique.NVME_SANITIZE_OVERWRITE: f"{_SANITIZE}: overwrite",
    Technique.NVME_FORMAT_CRYPTO: f"{_FORMAT}: cryptographic erase (SES 2)",
    Technique.NVME_FORMAT_USER_DATA: f"{_FORMAT}: user data erase (SES 1)",
    Technique.OVERWRITE_KEYSTREAM: _OVERWRITE,
    Technique.OVERWRITE_ZERO: _OVERWRITE,
    Technique.LUKS: "NIST SP 800-88r2, 3.2 Cryptographic Erase: keys of a software layer",
}

#: Which keys a cryptographic erase destroys, as its clause defines the command (SP 800-88r2, 3.2: the scope).
_MEDIA_KEYS: Final[dict[Technique, str]] = {
    Technique.NVME_SANITIZE_CRYPTO: "media keys of the whole device, unallocated capacity included",
    Technique.NVME_FORMAT_CRYPTO: "media keys of every namespace",
}

#: A changed key leaves noise, an overwrite its own pattern. After a block erase a drive returns what it
#: likes, so that a marker is as expected there if it is gone; it proves no more by that (`assurance`).
_GONE: Final = frozenset({MarkerReading.PSEUDORANDOM, MarkerReading.ZERO, MarkerReading.CONSTANT})
_EXPECTED: Final[dict[Technique, frozenset[MarkerReading]]] = {
    Technique.NVME_SANITIZE_CRYPTO: frozenset({MarkerReading.PSEUDORANDOM}),
    Technique.NVME_SANITIZE_BLOCK: _GONE,
    Technique.NVME_SANITIZE_OVERWRITE: frozenset({MarkerReading.AS_OVERWRITTEN}),
    Technique.NVME_FORMAT_CRYPTO: frozenset({MarkerReading.PSEUDORANDOM}),
    Technique.NVME_FORMAT_USER_DATA: _GONE,
    Technique.OVERWRITE_KEYSTREAM: frozenset({MarkerReading.AS_OVERWRITTEN}),
    Technique.OVERWRITE_ZERO: frozenset({MarkerReading.AS_OVERWRITTEN}),
    Technique.LUKS: frozenset(),
}


def never_opened(planned: PlannedMedium) -> Medium:
    """A medium of which no evidence speaks: what the order calls it, and nothing that only a look tells."""
    return Medium(
        commitment=planned.commitment,
        transport=planned.transport,
        device_class=DeviceClass.NOT_OPENED,
        manufacturer=NOT_OBSERVED,
        model=NOT_OBSERVED,
        firmware=NOT_OBSERVED,
        capacity_bytes=NOT_OBSERVED,
        native_capacity_bytes=NOT_OBSERVED,
        logical_block_bytes=NOT_OBSERVED,
    )


def technique_sent(entry: MediumEvidence) -> Technique | NotApplicable:
    """The one that was sent last: what is judged."""
    return entry.commands[-1].technique if entry.commands else _NOT_APPLICABLE


def clause(entry: MediumEvidence) -> str:
    """Standard and clause; `not_applicable` where nothing was sent."""
    sent = technique_sent(entry)
    return _NOT_APPLICABLE if sent == _NOT_APPLICABLE else CLAUSES[sent]


def fallback_from(entry: MediumEvidence, planned: tuple[Technique, ...]) -> tuple[Technique, ...]:
    """The plan's techniques before the one that was sent last: each was tried, and refused or failed."""
    sent = technique_sent(entry)
    return planned[: planned.index(Technique(sent))] if sent in planned else ()


def markers_as_expected(entry: MediumEvidence) -> int:
    """How many markers read as the technique that was sent leaves them."""
    sent = technique_sent(entry)
    expected = frozenset[MarkerReading]() if sent == _NOT_APPLICABLE else _EXPECTED[sent]
    return sum(marker.reading_after in expected for marker in entry.markers.markers)


def destination(claim: Claim) -> Destination | NotObserved:
    """Where the medium goes. Of what is not erased nobody has decided it."""
    if claim.result is not Result.ERASED:
        return NOT_OBSERVED
    return Destination.DESTROYED if claim.method is Method.DESTROY else Destination.STAYS_IN_HOST


def cryptographic_erases(entry: MediumEvidence, *, escrow: Escrow) -> tuple[CryptographicErase, ...]:
    """One for the medium's own keys, one for each layer's. A drive does not tell most of what is asked, and
    then nobody observed it.
    """
    return tuple(
        CryptographicErase(
            key_scope=scope,
            algorithm=NOT_OBSERVED,
            strength_bits=NOT_OBSERVED,
            key_origin=NOT_OBSERVED,
            escrow=escrow,
            module_validation=NOT_OBSERVED,
            vendor_assertion_digest=NOT_OBSERVED,
        )
        for scope in _key_scopes(technique_sent(entry), entry.layers)
    )


def _key_scopes(sent: Technique | NotApplicable, layers: Iterable[Layer]) -> tuple[str, ...]:
    scopes = () if sent not in _MEDIA_KEYS else (_MEDIA_KEYS[Technique(sent)],)
    return scopes + tuple(
        f"{layer.kind.value} volume key, namespace {layer.nsid}, offset {layer.offset_bytes}"
        for layer in layers
        if layer.every_copy_differs is Seen.YES and layer.is_found_after is Seen.NO
    )
