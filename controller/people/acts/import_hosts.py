"""Import: a file of hosts becomes part of the record, exactly as the difference that people read.

Rules: one operator where the file only adds hosts, two where anything of a known host changes, because the
record says which machine is the right one (a row that slipped by one line names the neighbour's serials); two
as well where a drive comes back that left a host and may still hold data, or is on record in another host,
and both are warned of it; what is signed names the file and the whole difference by digest, whatever part of
it is shown here; it is made again in the transaction that applies it. A file that changes nothing is not
signed.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.statements.people import DecisionKind
from controller.errors import Code
from controller.people import asking
from controller.people.act import About, Matter, Signed
from controller.program import Program
from controller.records import importing
from controller.records.host_file import HostFile, HostRow, read_hosts
from controller.records.importing import Difference, HostChange

#: So many hosts of each kind are shown; the dry run shows every one, under the same digest.
SHOWN_HOSTS = 50
NOTHING = "(nothing)"


class ImportHosts:
    """`text`: the file; `difference`: the digest that a dry run printed."""

    kind: ClassVar[DecisionKind] = DecisionKind.IMPORT

    def look(self, program: Program, about: About) -> None:
        return

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        """Raises Refused: IMPORT_CHANGED, IMPORT_EMPTY, and what `importing.difference` refuses."""
        file, digest = _asked(about)
        found = importing.difference(tx, program, file)
        if found.digest != digest:
            raise Refused(Code.IMPORT_CHANGED, f"the difference is now {found.digest}")
        if not found.added and not found.changed:
            raise Refused(Code.IMPORT_EMPTY, f"{len(found.unchanged)} hosts are on record as the file says")
        return Matter(
            kind=self.kind,
            choice="apply",
            facts=_facts(found),
            consequences=_consequences(found),
            people_needed=2 if found.changed or found.warnings else 1,
            words=_words(found),
            document_digest=found.file_digest,
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        file, digest = _asked(about)
        done = importing.apply(tx, program, file, digest=digest)
        return f"{len(done.added)} hosts are added, {len(done.changed)} changed: applied {digest}"


def _asked(about: About) -> tuple[HostFile, str]:
    text, digest = asking.fields(about, ("text", "difference"))
    return read_hosts(text), digest


def _facts(found: Difference) -> dict[str, Any]:
    return {
        "difference": found.digest,
        "hosts_added": len(found.added),
        "hosts_changed": len(found.changed),
        "hosts_unchanged": len(found.unchanged),
        "hosts_not_in_file": len(found.not_in_file),
        "added": [_added(row) for row in found.added[:SHOWN_HOSTS]],
        "changed": [_changed(change) for change in found.changed[:SHOWN_HOSTS]],
    }


def _words(found: Difference) -> str:
    """What both type; nothing where hosts are only added."""
    if found.warnings:
        return f"{len(found.changed)} changed, {len(found.warnings)} warnings"
    return f"{len(found.changed)} changed" if found.changed else ""


def _added(row: HostRow) -> str:
    return f"{row.asset_tag}: {row.site}, {row.rack}, {row.disposition.value}, {len(row.drives)} drives"


def _changed(change: HostChange) -> dict[str, Any]:
    was = [f"{each.field}: {each.old or NOTHING} -> {each.new}" for each in change.changes]
    return {"host": change.row.asset_tag, "changes": was}


def _consequences(found: Difference) -> tuple[str, ...]:
    hidden = max(len(found.added), len(found.changed)) > SHOWN_HOSTS
    read_on = (f"Not all is shown: expunge hosts import FILE shows all under {found.digest[:16]}.",)
    what = "Hosts are added; no host on record changes."
    if found.changed:
        what = "A wipe compares the machine with this record: a wrong line makes the wrong one the right one."
    return (what, *found.warnings, *(read_on if hidden else ()))
