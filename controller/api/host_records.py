"""The record of hosts over HTTP: the difference a file makes, what is missing, which drives left.

Rules: a file is bounded and read here, so that one reader decides; difference, gaps and register are read
from one snapshot each and change nothing: applying a difference is a decision (`people.acts.import_hosts`).
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from controller.api.host_records_documents import (
    FieldChangeLine,
    GapLine,
    HostChangeLine,
    HostGaps,
    HostGapsLine,
    ImportAsked,
    ImportDifference,
    MediaRegister,
    MediumGone,
    MediumLeft,
)
from controller.api.lines import whole_seconds
from controller.api.server import answer, asked
from controller.program import Program
from controller.records import custody, gaps, importing
from controller.records.custody import Standing
from controller.records.host_file import MAX_FILE_CHARACTERS, read_hosts
from controller.records.importing import Difference
from controller.store import departures, destructions, hosts, outcomes
from controller.store.departures import Departure
from controller.store.hosts import Drive

#: A character takes four bytes at most, and its JSON escape six.
MAX_BODY_BYTES = 6 * MAX_FILE_CHARACTERS


def router(program: Program, *, wake: Callable[[], None]) -> APIRouter:
    """Nothing here wakes anybody."""
    routes = APIRouter()

    @routes.post("/v1/hosts/import")
    async def import_hosts(request: Request) -> Response:
        def ask(question: ImportAsked) -> ImportDifference:
            return difference(program, question)

        return await asked(request, ImportAsked, ask, max_bytes=MAX_BODY_BYTES)

    @routes.get("/v1/hosts/gaps")
    def read_gaps() -> Response:
        with program.store.snapshot() as tx:
            return answer(host_gaps(tx, program))

    @routes.get("/v1/media")
    def read_media() -> Response:
        with program.store.snapshot() as tx:
            return answer(register(tx, program))

    return routes


def difference(program: Program, question: ImportAsked) -> ImportDifference:
    """What the file would change. Raises Refused: IMPORT_INVALID, HOST_IS_LEAVING, HOST_IS_HELD,
    FACT_CONTRADICTED.
    """
    file = read_hosts(question.text)
    with program.store.snapshot() as tx:
        return _told(importing.difference(tx, program, file))


def host_gaps(tx: Connection, program: Program) -> HostGaps:
    now = program.clock()
    return HostGaps(
        hosts=tuple(
            HostGapsLine(
                host=host.asset_tag,
                host_id=host.id,
                gaps=tuple(
                    GapLine(
                        code=gap.code.value,
                        reason=gap.reason,
                        remedy=gap.code.remedy,
                        is_blocking=gap.is_blocking,
                    )
                    for gap in gaps.gaps_of(tx, program, host, now=now)
                ),
            )
            for host in hosts.all_hosts(tx)
        )
    )


def register(tx: Connection, program: Program) -> MediaRegister:
    lines = [_left(tx, program, departure) for departure in departures.all_departures(tx)]
    return MediaRegister(media=tuple(sorted(lines, key=lambda line: line.standing != Standing.OPEN)))


def _told(found: Difference) -> ImportDifference:
    return ImportDifference(
        digest=found.digest,
        file_digest=found.file_digest,
        added=tuple(row.asset_tag for row in found.added),
        changed=tuple(
            HostChangeLine(
                host=change.row.asset_tag,
                changes=tuple(
                    FieldChangeLine(field=each.field, old=each.old, new=each.new) for each in change.changes
                ),
            )
            for change in found.changed
        ),
        unchanged=found.unchanged,
        not_in_file=found.not_in_file,
    )


def _left(tx: Connection, program: Program, departure: Departure) -> MediumLeft:
    drive = departure.drive
    words = departures.words_of(tx, departure, master_key=program.keyring.private_text_key)
    after = None if departure.replaced_by is None else hosts.load_drive(tx, departure.replaced_by).serial
    return MediumLeft(
        standing=custody.standing(tx, departure).value,
        medium=drive.commitment,
        serial=drive.serial,
        model=drive.model,
        capacity_bytes=drive.capacity_bytes,
        host=hosts.load(tx, drive.host).asset_tag,
        left_at=whole_seconds(departure.left_at),
        tenancies=custody.attributed(tx, departure).tenancies,
        replaced_by=after,
        removed_by=words["removed_by"],
        why=words["why"],
        seal=words["seal"],
        place=words["place"],
        decisions=departure.decisions,
        age_seconds=max(0, int((program.clock() - departure.left_at).total_seconds())),
        destruction=_gone(tx, program, drive),
    )


def _gone(tx: Connection, program: Program, drive: Drive) -> MediumGone | None:
    found = destructions.of_drive(tx, drive.id)
    if found is None:
        return None
    words = destructions.words_of(tx, drive, master_key=program.keyring.private_text_key)
    return MediumGone(
        outcome=found.outcome,
        is_logged=outcomes.load(tx, found.outcome).is_issued,
        method=found.method.value,
        destroyed_on=found.destroyed_on,
        document_digest=found.document_digest,
        by=words["destroyed_by"],
        witness=words["destroyed_before"],
        place=words["destroyed_where"],
        decisions=found.decisions,
    )
