"""NVMe Sanitize: the drive itself destroys its key (crypto), erases every block (block) or overwrites.

Rules: `prepare` only reads, and refuses a drive that is running a sanitize, does not announce this action, or
is write-protected; `start` sends once, and a lost answer is `not_observed`, never a second send; `watch` asks
the device and believes no timer; `conclude` states facts. A success in the status log may be an older
command's: it is ours only with our own dword 10 in it. `assurance` judges.

What the drive is asked for: one command reaches the whole subsystem, so there is one step. Where the drive
honours it (SANICAP bit 29 clear) it is asked not to deallocate, so that markers can show a changed key
(pseudorandom) or the overwrite's own pattern instead of mere unmapping (zero); an overwrite takes one pass of
`keystream.sanitize_pattern`, which is never zero.

Failure: AUSE stays 0, so a drive whose sanitize failed refuses all access, and every other command with 1Ch,
until a sanitize succeeds. The way out is a new sanitize, which is why an earlier failure refuses nothing
here. Exit failure (SANACT 1) is open only after AUSE was 1, and is never sent. A refused command leaves its
status raw in the evidence: 1Dh another sanitize runs, 20h a namespace is write-protected, 10Bh, 110h and 111h
firmware waits for an activation, 123h the persistent memory region is enabled.

Sources: NVM Express Base 2.0, 5.24 and 8.21, Base 2.1 for the state machine (from memory); erasure.md, 2.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.devices import nvme, nvme_commands
from agent.devices.drive import Drive
from agent.devices.nvme import IdentifyController, NvmeDrive, SanitizeLog
from agent.devices.nvme_commands import Command, SanitizeAction
from agent.errors import Code, DeviceError, TransportError
from agent.techniques import nvme_state
from agent.techniques.technique import Aim, Facts, Prepared, Report, Started, Watched
from certificate import keystream
from certificate.errors import Malformed
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Technique

#: The only step: Sanitize reaches every namespace and what lies outside them.
WHOLE_DRIVE: Final = ""
#: Dword 10 in a submission queue entry, and how it comes back in the log (SCDW10).
DWORD10: Final = slice(40, 44)


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """How long a drive may take, in seconds of the clock handed in. Some never end (nvme-cli#3027)."""

    no_progress_seconds: int
    total_seconds: int
    #: Real drives want at least a second between polls (erasure.md, 2.4).
    poll_seconds: float = 1.0


#: Without the drive's own estimate. Crypto takes 1-3 s on server drives, block erase up to minutes, an
#: overwrite hours a pass (erasure.md, 2.4): these are far above.
DEFAULT_DEADLINES: Final = {
    SanitizeAction.CRYPTO_ERASE: Deadlines(no_progress_seconds=300, total_seconds=900),
    SanitizeAction.BLOCK_ERASE: Deadlines(no_progress_seconds=900, total_seconds=14_400),
    SanitizeAction.OVERWRITE: Deadlines(no_progress_seconds=3_600, total_seconds=86_400),
}
#: How far a drive may exceed its own estimate.
PATIENCE: Final = 3
#: An estimate beyond a day is not believed; it would keep a host for weeks.
MAX_ESTIMATE_SECONDS: Final = 86_400


class NvmeSanitize:
    """One technique: Sanitize with one action. `default`: how long it may take where the drive gives no
    estimate.
    """

    def __init__(
        self, technique: Technique, action: SanitizeAction, *, default: Deadlines | None = None
    ) -> None:
        self._technique = technique
        self.action = action
        self._default = default or DEFAULT_DEADLINES[action]

    @property
    def technique(self) -> Technique:
        return self._technique

    def steps(self, drive: Drive, aim: Aim) -> tuple[str, ...]:
        return (WHOLE_DRIVE,)

    def prepare(self, drive: Drive, aim: Aim, *, step: str) -> Prepared:
        """Reads only. Raises Refused: TECHNIQUE_UNAVAILABLE, SANITIZE_RUNNING or DRIVE_WRITE_PROTECTED;
        DeviceError or Malformed when the drive does not answer or not as its standard says.
        """
        if step != WHOLE_DRIVE:
            raise ValueError(f"a sanitize has no step {step!r}")
        asked = nvme_state.nvme_drive(drive)
        controller = asked.identify_controller()
        if not self._is_announced(controller):
            word = f"SANICAP {controller.sanitize_capabilities:08X}h"
            raise nvme_state.unavailable(f"{word} lacks {self.action.name.lower()}")
        nvme_state.refuse_write_protected(asked, asked.active_namespaces())
        log = asked.sanitize_log()
        nvme_state.refuse_running(log)
        return Prepared(
            identity=asked.identity(),
            submission=self._command(controller, aim).sqe,
            status_before=log.head,
            counters=nvme_state.counters(asked),
        )

    def start(self, drive: Drive, prepared: Prepared) -> Started:
        """Sends the prepared command, once. Irreversible."""
        command = Command.of(f"Sanitize ({self.action.name.lower()})", _sent(prepared))
        try:
            answer = nvme_state.nvme_drive(drive).submit_once(command)
        except TransportError as error:
            return Started(
                was_accepted=Seen.NOT_OBSERVED,
                completion=None,
                errors=(error.code.value,),
                handle=_sent(prepared),
            )
        return Started(
            was_accepted=Seen.that(answer.is_success),
            completion=answer.raw_status,
            errors=() if answer.is_success else (Code.DEVICE_STATUS.value,),
            handle=_sent(prepared),
        )

    def deadlines(self, prepared: Prepared) -> Deadlines:
        """How long this drive may take: the default, or its own estimate and patience if longer."""
        estimate = _estimate_seconds(self.action, prepared)
        if estimate == nvme.NO_ESTIMATE:
            return self._default
        own = PATIENCE * min(estimate, MAX_ESTIMATE_SECONDS)
        return Deadlines(
            no_progress_seconds=max(self._default.no_progress_seconds, own // 4),
            total_seconds=max(self._default.total_seconds, own),
            poll_seconds=self._default.poll_seconds,
        )

    def watch(
        self,
        drive: Drive,
        prepared: Prepared,
        started: Started,
        *,
        now_ms: Callable[[], int],
        pause: Callable[[float], None],
        report: Report,
    ) -> Watched:
        """Polls until the drive says that it ended, shows no progress for too long, or takes too long.

        A command that the drive refused is not waited for: one look, and done. One that another process may
        have sent (`handle` is None) gets one look too, and is waited for only if the drive is running.
        """
        watch = _Watch(drive=nvme_state.nvme_drive(drive), prepared=prepared, report=report, now_ms=now_ms)
        deadlines = self.deadlines(prepared)
        for _ in range(_most_polls(deadlines)):
            watch.look()
            if watch.has_ended or started.was_accepted is Seen.NO:
                return watch.watched(has_ended=started.was_accepted is not Seen.NO, timed_out=Seen.NO)
            if started.handle is None and not watch.is_running:
                return watch.watched(has_ended=False, timed_out=Seen.NOT_OBSERVED)
            if watch.is_over(deadlines):
                break
            pause(deadlines.poll_seconds)
        return watch.watched(has_ended=False, timed_out=Seen.YES)

    def conclude(self, drive: Drive, prepared: Prepared, started: Started, watched: Watched) -> Facts:
        """The facts. `has_failed` needs the drive's own word on this very command: it refused it, or its log
        tells a failure of our dword 10 after it was accepted or seen running.
        """
        log = None if watched.status is None else SanitizeLog.parse(watched.status)
        was_begun = Seen.YES in (started.was_accepted, watched.seen_in_progress)
        is_failure = watched.has_ended and log is not None and log.has_failed and _is_ours(log, prepared)
        errors = [*started.errors, *watched.errors]
        if is_failure:
            errors.append(Code.SANITIZE_FAILED.value)
        if watched.timed_out is Seen.YES:
            errors.append(Code.COMMAND_TIMED_OUT.value)
        return Facts(
            status_after=None if log is None else log.head,
            seen_in_progress=watched.seen_in_progress,
            timed_out=Seen.YES if started.completion is None else watched.timed_out,
            has_failed=started.was_accepted is Seen.NO or (is_failure and was_begun),
            overwrite=None,
            errors=tuple(dict.fromkeys(errors)),
        )

    def _is_announced(self, controller: IdentifyController) -> bool:
        match self.action:
            case SanitizeAction.CRYPTO_ERASE:
                return controller.has_crypto_erase
            case SanitizeAction.BLOCK_ERASE:
                return controller.has_block_erase
            case SanitizeAction.OVERWRITE:
                return controller.has_overwrite

    def _command(self, controller: IdentifyController, aim: Aim) -> Command:
        is_overwrite = self.action is SanitizeAction.OVERWRITE
        return nvme_commands.sanitize(
            self.action,
            no_deallocate=not controller.inhibits_no_deallocate,
            pattern=keystream.sanitize_pattern(aim.key) if is_overwrite else 0,
        )


class _Watch:
    """What one wait has seen so far. `report` is told the progress of our own command only."""

    def __init__(
        self, *, drive: NvmeDrive, prepared: Prepared, report: Report, now_ms: Callable[[], int]
    ) -> None:
        self._drive = drive
        self._prepared = prepared
        self._report = report
        self._now_ms = now_ms
        self._began_ms = self._moved_ms = now_ms()
        self._progress = -1
        self._log: SanitizeLog | None = None
        self._seen = Seen.NOT_OBSERVED
        self._errors: list[str] = []
        self.has_ended = False
        self.is_running = False

    def look(self) -> None:
        """Asks the drive once. An answer that does not come is no end."""
        self.has_ended = self.is_running = False
        try:
            log = self._drive.sanitize_log()
        except (DeviceError, Malformed) as error:
            if error.code.value not in self._errors:
                self._errors.append(error.code.value)
            return
        self._log, self.has_ended, self.is_running = log, log.has_ended, log.is_running
        is_our_run = log.is_running and _is_ours(log, self._prepared)
        self._seen = Seen.YES if self._seen is Seen.YES or is_our_run else Seen.NO
        if is_our_run:
            self._report(log.progress_65536ths)
        if log.is_running and log.progress_65536ths != self._progress:
            self._progress, self._moved_ms = log.progress_65536ths, self._now_ms()

    def is_over(self, deadlines: Deadlines) -> bool:
        """It stood still, or took, too long."""
        now = self._now_ms()
        is_stalled = now - self._moved_ms >= deadlines.no_progress_seconds * 1000
        return is_stalled or now - self._began_ms >= deadlines.total_seconds * 1000

    def watched(self, *, has_ended: bool, timed_out: Seen) -> Watched:
        return Watched(
            status=None if self._log is None else self._log.raw,
            has_ended=has_ended,
            seen_in_progress=self._seen,
            timed_out=timed_out,
            errors=tuple(self._errors),
        )


def _sent(prepared: Prepared) -> bytes:
    if prepared.submission is None:
        raise ValueError("a sanitize is a command")
    return prepared.submission


def _is_ours(log: SanitizeLog, prepared: Prepared) -> bool:
    return log.raw[4:8] == _sent(prepared)[DWORD10]


def _estimate_seconds(action: SanitizeAction, prepared: Prepared) -> int:
    """The drive's own, from its status log right before; FFFFFFFFh where it gives none."""
    head = prepared.status_before or b""
    if not head:
        return nvme.NO_ESTIMATE
    log = SanitizeLog.parse(head.ljust(nvme_commands.SANITIZE_LOG_BYTES, b"\x00"))
    dword10 = int.from_bytes(_sent(prepared)[DWORD10], "little")
    is_kept = bool(dword10 & nvme_commands.NO_DEALLOCATE_AFTER_SANITIZE)
    return {
        (SanitizeAction.CRYPTO_ERASE, True): log.crypto_erase_no_deallocate_seconds,
        (SanitizeAction.CRYPTO_ERASE, False): log.crypto_erase_seconds,
        (SanitizeAction.BLOCK_ERASE, True): log.block_erase_no_deallocate_seconds,
        (SanitizeAction.BLOCK_ERASE, False): log.block_erase_seconds,
        (SanitizeAction.OVERWRITE, True): log.overwrite_no_deallocate_seconds,
        (SanitizeAction.OVERWRITE, False): log.overwrite_seconds,
    }[action, is_kept]


def _most_polls(deadlines: Deadlines) -> int:
    """A bound that does not depend on the clock handed in."""
    return int(deadlines.total_seconds / deadlines.poll_seconds) + 2


CRYPTO = NvmeSanitize(Technique.NVME_SANITIZE_CRYPTO, SanitizeAction.CRYPTO_ERASE)
BLOCK = NvmeSanitize(Technique.NVME_SANITIZE_BLOCK, SanitizeAction.BLOCK_ERASE)
OVERWRITE = NvmeSanitize(Technique.NVME_SANITIZE_OVERWRITE, SanitizeAction.OVERWRITE)
