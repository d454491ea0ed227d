"""Hints that arrived while nobody was listening: one file a hint, drained when `serve` runs again.

Rules: a hint is on the disk, whole, before its writer says so; names sort by time, and a drained hint leaves
only after whoever takes it has stored it, so a crash in between repeats it (a hint may be repeated). What
cannot be read (torn, foreign, too large) is moved to `set-aside/` with its reason beside it: never deleted,
and never in the way of the others. A hint is never believed: it makes somebody ask the source.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from certificate.errors import Code as CertificateCode
from certificate.errors import Malformed, Refused
from certificate.statements.statement import Nonce, UtcSeconds, read_model
from controller.errors import Code
from controller.home import FOLDER_MODE, sync_folder, write_durably

#: Hundreds of times a real hint; a larger file is something else.
MAX_HINT_BYTES = 65_536
#: A file still under its writer's private name after this belongs to a writer that died.
ABANDONED_AFTER = timedelta(minutes=10)
_NAME = re.compile(r"[0-9]{8}T[0-9]{12}Z-[0-9a-f]{32}\.hint\.json")

#: A subscription as the source itself names it.
SubscriptionText = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]([\x20-\x7e]{0,198}[\x21-\x7e])?$")]


class HintEvent(StrEnum):
    ENDED = "ended"
    RENEWED = "renewed"


class Hint(BaseModel):
    """Somebody says that a subscription changed. `told_at` is the teller's clock and decides nothing; `id`
    makes one hint of one that is told twice.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    id: Nonce
    event: HintEvent
    subscription: SubscriptionText
    told_at: UtcSeconds


class SpooledHint(Hint):
    """A hint as its file holds it."""

    format_version: Literal[1]


def make_hint(*, event: str, subscription: str, now: datetime, random_16_bytes: bytes) -> Hint:
    """A new hint. Raises Refused(HINT_INVALID) for an event or a subscription that no source has."""
    try:
        return Hint(
            id=random_16_bytes.hex(),
            event=HintEvent(event),
            subscription=subscription,
            told_at=now.replace(microsecond=0),
        )
    except ValueError:
        raise Refused(
            Code.HINT_INVALID, f"{event[:40]!r} of subscription {subscription[:60]!r} is no hint"
        ) from None


@dataclass(frozen=True, kw_only=True)
class Drained:
    """What one pass over the spool did."""

    taken_count: int
    set_aside: tuple[str, ...]


@dataclass(frozen=True)
class Spool:
    """The spool folder of one home."""

    folder: Path

    @property
    def set_aside_folder(self) -> Path:
        return self.folder / "set-aside"

    def write(self, hint: Hint, *, now: datetime) -> Path:
        """The hint as a file, on the disk when this returns."""
        path = self.folder / f"{now:%Y%m%dT%H%M%S%f}Z-{hint.id}.hint.json"
        spooled = SpooledHint(format_version=1, **hint.model_dump())
        write_durably(path, spooled.model_dump_json().encode() + b"\n")
        return path

    def drain(self, take: Callable[[Hint], None], *, now: datetime) -> Drained:
        """Hands every hint to `take`, oldest first, and removes each that was taken.

        Whatever `take` raises ends the pass and leaves that hint and the later ones where they are: a store
        that refuses today may take it tomorrow.
        """
        taken, aside = 0, []
        for path in sorted(self.folder.iterdir()):
            if path == self.set_aside_folder or self._is_being_written(path, now):
                continue
            try:
                hint = _read(path)
            except Malformed as refusal:
                self._set_aside(path, refusal)
                aside.append(path.name)
                continue
            take(hint)
            path.unlink()
            taken += 1
        if taken:
            sync_folder(self.folder)
        return Drained(taken_count=taken, set_aside=tuple(aside))

    def _is_being_written(self, path: Path, now: datetime) -> bool:
        """Whether it is a writer's private file and its writer may still be alive."""
        if not path.name.startswith("."):
            return False
        return now.timestamp() - path.lstat().st_mtime < ABANDONED_AFTER.total_seconds()

    def _set_aside(self, path: Path, refusal: Malformed) -> None:
        self.set_aside_folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        place = self.set_aside_folder / path.name
        number = 1
        while place.exists() or place.is_symlink():
            number += 1
            place = self.set_aside_folder / f"{path.name}.{number}"
        write_durably(
            place.with_name(place.name + ".reason.txt"),
            f"{refusal.code}: {refusal.reason}\n".encode(),
        )
        path.rename(place)
        sync_folder(self.set_aside_folder)
        sync_folder(self.folder)


def _read(path: Path) -> Hint:
    """Raises Malformed for anything but a hint that `write` wrote."""
    if not _NAME.fullmatch(path.name):
        raise Malformed(CertificateCode.MALFORMED, f"{path.name!r} is not the name of a hint")
    if not stat.S_ISREG(path.lstat().st_mode):
        raise Malformed(CertificateCode.MALFORMED, f"{path.name} is not a plain file")
    with path.open("rb") as file:
        content = file.read(MAX_HINT_BYTES + 1)
    spooled = read_model(content, SpooledHint, what=path.name, max_bytes=MAX_HINT_BYTES)
    return Hint(**spooled.model_dump(exclude={"format_version"}))
