"""A drive leaves its host into the register of media: behind `media out` and `hosts drive replace`."""

from __future__ import annotations

from pathlib import Path

from certificate.statements.people import DecisionKind
from controller.cli.deciding import decide

#: What stands for the new drive where the bay stays empty (`people.acts.remove`).
EMPTY_BAY = "none"


def drive_leaves(
    asset_tag: str,
    serial: str,
    *,
    in_its_place: str | None,
    words: tuple[str, str, str, str],
    home: Path | None,
    key: Path | None,
    key_passphrase_fd: int | None,
    confirm: str | None,
    as_json: bool,
) -> int:
    """`words`: by whom, why, seal, place. Two operators sign the same; answers with the exit code."""
    by, why, seal, place = words
    return decide(
        home=home,
        kind=DecisionKind.REMOVE,
        about={
            "host": asset_tag,
            "old": serial,
            "new": EMPTY_BAY if in_its_place is None else in_its_place,
            "by": by,
            "why": why,
            "seal": seal,
            "place": place,
        },
        reason=why,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )
