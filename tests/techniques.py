"""Orders and evidence of every technique, as an honest agent would tell them; and how a test spoils them.

`Techniques(documents).honest("nvme_format_crypto", layers=1)` is a `Judged`: an order, its evidence and the
medium, with `seen` and `ordered` to change one word and `claim` to judge the result. `documents` has the
sample documents of tests/certificate/conftest.py. The words of commands and logs are written here by hand,
bit by bit, and share nothing with the modules that read them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from certificate.assurance import judge
from certificate.commitment import markers_digest
from certificate.statements import Evidence, Order
from certificate.statements.outcome import Claim
from certificate.statements.statement import Seen

SANITIZES = {"nvme_sanitize_block": 2, "nvme_sanitize_overwrite": 3, "nvme_sanitize_crypto": 4}
FORMATS = {"nvme_format_user_data": 1, "nvme_format_crypto": 2}
OVERWRITES = {"overwrite_keystream": "keystream", "overwrite_zero": "zero"}
TECHNIQUES = (*SANITIZES, *FORMATS, *OVERWRITES)
#: How a marker reads after each, where the drive does not unmap.
READINGS = {
    "nvme_sanitize_crypto": "pseudorandom",
    "nvme_sanitize_block": "zero",
    "nvme_sanitize_overwrite": "as_overwritten",
    "nvme_format_crypto": "pseudorandom",
    "nvme_format_user_data": "zero",
    "overwrite_keystream": "as_overwritten",
    "overwrite_zero": "as_overwritten",
}
#: The claim of an honest erase: result, method, grade.
HONEST = {
    "nvme_sanitize_crypto": ("erased", "purge", "marker-proven"),
    "nvme_sanitize_block": ("erased", "purge", "device-reported"),
    "nvme_sanitize_overwrite": ("erased", "purge", "marker-proven"),
    "nvme_format_crypto": ("erased", "clear", "marker-proven"),
    "nvme_format_user_data": ("erased", "clear", "device-reported"),
    "overwrite_keystream": ("erased", "clear", "marker-proven"),
    "overwrite_zero": ("erased", "clear", "marker-proven"),
}
INCONCLUSIVE = ("inconclusive", "none", "none")
NOT_ERASED = ("not_erased", "none", "none")
ALL_NAMESPACES = 0xFFFFFFFF
MIB = 1 << 20
#: FLBAS and DPS of the sample namespace: LBA format 18, nothing in line; protection of type 1, first bytes.
FLBAS, DPS = 0x22, 0x09
#: What a Format has to repeat of it: LBAF 2 and 1 above, PI 1, PIL 1.
LAYOUT_BITS = 2 | 1 << 12 | 1 << 5 | 1 << 8
SECOND_BYTES = 64 * MIB


def little_endian(number: int, width_bytes: int) -> str:
    return number.to_bytes(width_bytes, "little").hex()


def sanitize_dword10(action: int, *, passes: int = 0, is_inverted: bool = False) -> int:
    """SANACT 2:0, OWPASS 7:4, OIPBP 8, NDAS 9."""
    return action | passes << 4 | is_inverted << 8 | 1 << 9


def submission(*, opcode: int, nsid: int = 0, dword10: int, dword11: int = 0) -> str:
    """Opcode in byte 0, NSID in 7:4, CDW10 in 43:40, CDW11 in 47:44."""
    head = f"{opcode:02x}001700" + little_endian(nsid, 4) + "00" * 32
    return head + little_endian(dword10, 4) + little_endian(dword11, 4) + "00" * 16


def status_log(dword10: int, *, state: int = 1, passes_done: int = 0, is_erased: bool = True) -> str:
    """SPROG, SSTAT (state 2:0, passes 7:3, GDE 8), SCDW10, estimates: the first 64 bytes of log page 81h."""
    status = state | passes_done << 3 | is_erased << 8
    return "ffff" + little_endian(status, 2) + little_endian(dword10, 4) + "ff" * 24 + "00" * 32


@dataclass(frozen=True)
class Judged:
    """An order and its evidence, changed field by field, and judged."""

    documents: Any
    order: Order
    evidence: Evidence
    medium: str

    def seen(self, path: str, value: Any) -> Judged:
        """With one word of the evidence replaced; `value` may be a function of the old one."""
        return replace(self, evidence=self.documents.with_field(self.evidence, path, value))

    def told(self, path: str, value: Any) -> Judged:
        """The same, from the medium's entry on."""
        return self.seen(f"media.0.{path}", value)

    def ordered(self, path: str, value: Any) -> Judged:
        return replace(self, order=self.documents.with_field(self.order, path, value))

    def planned(self, path: str, value: Any) -> Judged:
        """The same, from the plan's words of the medium on."""
        return self.ordered(f"plan.media.0.{path}", value)

    def word(self, field: str, raw: str) -> Judged:
        """With this capability word, instead of the one of that name or beside the others."""

        def put(words: list[dict[str, str]]) -> list[dict[str, str]]:
            return [*(word for word in words if word["field"] != field), {"field": field, "raw": raw}]

        return self.told("capabilities", put)

    def marker(self, index: int, **fields: Any) -> Judged:
        case = self
        for name, value in fields.items():
            case = case.told(f"markers.markers.{index}.{name}", value)
        return case

    def every_marker(self, **fields: Any) -> Judged:
        case = self
        for index in range(len(self.evidence.media[0].markers.markers)):
            case = case.marker(index, **fields)
        return case

    def reopened(self) -> Judged:
        """The commitment computed again over the markers as they stand now."""
        markers = self.evidence.media[0].markers
        placed = ((m.nsid, m.offset_bytes, m.length_bytes, m.content_sha256) for m in markers.markers)
        digest = markers_digest(nonce=bytes.fromhex(markers.nonce), markers=placed)
        committed = self.told("markers.committed_digest", digest)
        return committed.told("markers.committed_count", len(markers.markers))

    def marked(self) -> Judged:
        """With the markers that its attached namespaces give, each of which reads as the first one did."""
        entry = self.evidence.media[0]
        attached = [each for each in entry.namespaces if each.is_attached is Seen.YES and each.capacity_bytes]
        placed = self.documents.marked_places(
            self.evidence.order_digest, [each.capacity_bytes for each in attached]
        )
        changed = entry.markers.markers[0].reading_after.value
        return self.told("markers", _markers(placed, changed))

    def detached(self, capacity_bytes: int = 8 * 4096) -> Judged:
        """Part of the capacity is a second namespace, which is not attached and holds no marker."""

        def split(namespaces: list[dict[str, Any]]) -> list[dict[str, Any]]:
            first = namespaces[0] | {"capacity_bytes": namespaces[0]["capacity_bytes"] - capacity_bytes}
            return [first, first | {"nsid": 2, "capacity_bytes": capacity_bytes, "is_attached": "no"}]

        return self.told("namespaces", split).marked()

    def with_second_drive(self) -> Judged:
        """The same host with a second drive, of which the evidence tells the same."""
        other = {"commitment": "ab" * 32}
        return self.ordered("plan.media", lambda media: [*media, media[0] | other]).seen(
            "media", lambda media: [*media, media[0] | {"medium": media[0]["medium"] | other}]
        )

    def claim(self) -> Claim:
        return judge(order=self.order, evidence=self.evidence, commitment=self.medium)

    @property
    def said(self) -> tuple[str, str, str]:
        claim = self.claim()
        return claim.result.value, claim.method.value, claim.grade.value

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.claim().reasons


class Techniques:
    """Honest stories. `documents`: the sample documents (tests/certificate/conftest.py)."""

    def __init__(self, documents: Any) -> None:
        self.documents = documents

    def honest(
        self,
        technique: str,
        *,
        refused: tuple[str, ...] = (),
        namespaces: int = 1,
        layers: int = 0,
        is_plain: bool = False,
        read_back: str = "full",
        **evidence: Any,
    ) -> Judged:
        """`refused`: techniques before it, which the drive refused. `is_plain`: a virtio disk. `read_back`:
        the plan's, and what was done where the technique is a host's overwrite. `evidence`: other fields.
        """
        order = self.order(
            technique,
            refused=refused,
            layers=layers,
            is_plain=is_plain,
            read_back=read_back,
        )
        digest = self.documents.sign_order(order).payload_digest
        entry = self._entry(technique, digest, namespaces=namespaces, layers=layers, is_plain=is_plain)
        entry["commands"] = [
            *(_refused(command) for each in refused for command in self._commands(each, digest, namespaces)),
            *self._commands(technique, digest, namespaces),
        ]
        if technique in OVERWRITES:
            entry["read_back"] = self._read_back(digest, read_back)
        told = self.documents.build_evidence(order, media=[entry], **evidence)
        return Judged(self.documents, order, told, self.documents.MEDIUM)

    def layers_alone(self, layers: int = 1) -> Judged:
        """Only the layers' keys were destroyed; markers read as they were written."""
        case = self.honest("overwrite_keystream", layers=layers)
        untouched = case.every_marker(reading_after="not_observed", changed_65536ths="not_observed")
        return untouched.told("commands", []).told("read_back", "not_applicable")

    def order(
        self,
        technique: str,
        *,
        refused: tuple[str, ...] = (),
        layers: int = 0,
        is_plain: bool = False,
        read_back: str = "full",
        **changes: Any,
    ) -> Order:
        """The order of an erase by this technique; `changes`: other fields of it."""
        planned = {
            "commitment": self.documents.MEDIUM,
            "transport": "virtio" if is_plain else "nvme",
            "attachment": "internal",
            "kind": "plain" if is_plain else "self_encrypting_nvme",
            "capacity_bytes": self.documents.CAPACITY_BYTES,
            "firmware": "GDC5902Q",
            "techniques": [*refused, technique],
            "layers": [_place(index) for index in range(layers)],
        }
        plan = self.documents.build_plan(
            media=[planned],
            floor="purge" if technique in SANITIZES else "clear",
            overwrite=OVERWRITES.get(technique, "keystream"),
            read_back=read_back,
        )
        order: Order = self.documents.build_order(plan=plan, **changes)
        return order

    def _entry(
        self, technique: str, order_digest: str, *, namespaces: int, layers: int, is_plain: bool
    ) -> dict[str, Any]:
        entry: dict[str, Any] = self.documents.medium_evidence_fields()
        capacities = [self.documents.CAPACITY_BYTES - (namespaces - 1) * SECOND_BYTES]
        capacities += [SECOND_BYTES] * (namespaces - 1)
        entry["namespaces"] = [
            entry["namespaces"][0] | {"nsid": number, "capacity_bytes": capacity_bytes}
            for number, capacity_bytes in enumerate(capacities, 1)
        ]
        words = {"SANICAP": "07000000", "OACS": "1e00", "FNA": "04", "UNVMCAP": "00" * 16}
        words["TNVMCAP"] = little_endian(self.documents.CAPACITY_BYTES, 16)
        for number in range(1, namespaces + 1):
            words |= {f"NS{number}:FLBAS": f"{FLBAS:02x}", f"NS{number}:DPS": f"{DPS:02x}"}
        words |= {"CMIC": "00", "NN": little_endian(namespaces, 4)}
        entry["capabilities"] = [] if is_plain else [{"field": name, "raw": words[name]} for name in words]
        if is_plain:
            entry["medium"] |= {"transport": "virtio", "device_class": "emulated"}
        placed = self.documents.marked_places(order_digest, capacities)
        entry["markers"] = _markers(placed, READINGS[technique])
        entry["layers"] = [LAYER | _place(index) for index in range(layers)]
        return entry

    def _commands(self, technique: str, order_digest: str, namespaces: int) -> list[dict[str, Any]]:
        command = self.documents.command_fields() | {"technique": technique}
        no_log = {"status_log_before": "not_applicable", "status_log_after": "not_applicable"}
        if technique in FORMATS:
            dword10 = LAYOUT_BITS | FORMATS[technique] << 9
            return [
                command | no_log | {"submission": submission(opcode=0x80, nsid=nsid, dword10=dword10)}
                for nsid in range(1, namespaces + 1)
            ]
        if technique in OVERWRITES:
            done = {
                "pattern": OVERWRITES[technique],
                "bytes_written": self.documents.CAPACITY_BYTES,
                "bytes_failed": 0,
                "was_flushed": "yes",
            }
            nothing = {"submission": "not_applicable", "completion_status": "not_applicable"}
            return [command | no_log | nothing | {"overwrite": done}]
        return [command | self._sanitize(technique, order_digest)]

    def _sanitize(self, technique: str, order_digest: str) -> dict[str, str]:
        is_overwrite = technique == "nvme_sanitize_overwrite"
        dword10 = sanitize_dword10(SANITIZES[technique], passes=1 if is_overwrite else 0)
        pattern = self.pattern(order_digest) if is_overwrite else 0
        return {
            "submission": submission(opcode=0x84, dword10=dword10, dword11=pattern),
            "status_log_after": status_log(dword10, passes_done=1 if is_overwrite else 0),
        }

    def pattern(self, order_digest: str) -> int:
        """The pattern of a sanitize's overwrite, as docs and evidence allow anyone to compute it."""
        seed = bytes.fromhex(order_digest) + NONCE + bytes.fromhex(self.documents.MEDIUM)
        key = hashlib.shake_256(b"expunge-overwrite/v1" + seed).digest(64)
        made = hashlib.shake_256(b"expunge-sanitize-pattern/v1" + key).digest(4)
        return int.from_bytes(made, "little") or 1

    def _read_back(self, order_digest: str, mode: str) -> dict[str, Any]:
        """Of the sample's capacity, which is not a whole number of MiB: 20 extents are a subsection."""
        capacity_bytes: int = self.documents.CAPACITY_BYTES
        total = -(-capacity_bytes // MIB)
        count = total if mode == "full" else 2 * (total // 20) + 2
        seed = bytes.fromhex(order_digest) + NONCE + bytes.fromhex(self.documents.MEDIUM)
        return {
            "mode": mode,
            "seed": hashlib.sha256(b"expunge-sample/v1" + seed).hexdigest(),
            "extents_planned": count,
            "extents_read": count,
            "bytes_read": (count - 1) * MIB + (capacity_bytes - (total - 1) * MIB),
            "bytes_mismatched": 0,
            "bytes_unreadable": 0,
        }


NONCE = hashlib.sha256(b"nonce of the markers").digest()
LAYER = {
    "is_detached": "no",
    "header_copies": 2,
    "key_slots": 1,
    "tokens": 0,
    "area_bytes": 16 * MIB,
    "start_acknowledged": "yes",
    "every_copy_differs": "yes",
    "was_flushed": "yes",
    "known_key_refused": "not_observed",
    "is_found_after": "no",
}


def _refused(command: dict[str, Any]) -> dict[str, Any]:
    """Invalid field, and nothing began."""
    untouched = {"status_log_after": command["status_log_before"]}
    return command | untouched | {"completion_status": "0002", "was_accepted": "no"}


def _place(index: int) -> dict[str, Any]:
    return {"kind": "luks2", "nsid": 1, "offset_bytes": MIB * (1 + 512 * index)}


def _markers(placed: list[tuple[int, int, int, str]], reading: str) -> dict[str, Any]:
    names = ("nsid", "offset_bytes", "length_bytes", "content_sha256")
    after = {"read_back_before": "yes", "reading_after": reading, "changed_65536ths": 32_700}
    return {
        "committed_digest": markers_digest(nonce=NONCE, markers=placed),
        "was_acknowledged": "yes",
        "nonce": NONCE.hex(),
        "committed_count": len(placed),
        "markers": [dict(zip(names, marker, strict=True)) | after for marker in placed],
    }


def as_json(value: Any) -> Any:
    """A model as plain values, to build another one of."""
    return json.loads(value.model_dump_json(by_alias=True))
