"""NVMe Sanitize, by destroying the media key (crypto) or by erasing every block (block): four questions.

Rules: `prepare` only reads, and refuses a drive that is running a sanitize, does not know this action, or is
write-protected; `start` sends once, and a lost answer is `not_observed`, never a second send; `poll` asks the
device and believes no timer; `conclude` states facts. A success in the status log may be an older command's:
it is ours only with our own dword 10 in it. `assurance` judges.

Deallocation: where the drive honours it (SANICAP bit 29 clear) it is asked not to deallocate, so that markers
can show a changed key (pseudorandom) instead of mere unmapping (zero). AUSE is left 0, see
`devices.nvme.sanitize`. Sources: NVM Express Base 2.0, 5.24 and 8.21 (from memory); erasure.md, 2.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.devices import nvme
from agent.devices.nvme import Command, Completion, DriveIdentity, NvmeDrive, SanitizeAction, SanitizeLog
from agent.errors import Code, DeviceError, TransportError
from certificate.errors import Code as DocumentCode
from certificate.errors import Malformed, Refused
from certificate.statements.statement import NOT_OBSERVED, Seen
from certificate.statements.vocabulary import Technique


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The drive as it was right before. `command` is exactly what `start` would send."""

    identity: DriveIdentity
    log: SanitizeLog
    command: Command
    #: DUW, PWRC and UPL as sent (`nvme.HealthLog`), not_observed where the drive did not say: a boot that
    #: comes after a power loss is paired with this one by them. They rise by themselves, and a drive need not
    #: tell them twice, so they do not count when two looks are compared.
    counters: dict[str, str] = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Started:
    """The command was sent, or tried to be. `answer` is None where none came."""

    command: Command
    answer: Completion | None
    errors: tuple[str, ...]

    @property
    def was_accepted(self) -> Seen:
        return Seen.NOT_OBSERVED if self.answer is None else Seen.that(self.answer.is_success)


@dataclass(frozen=True, kw_only=True)
class Running:
    """The drive has not said that it ended. `log` is None where it did not answer."""

    log: SanitizeLog | None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The drive says that a sanitize ended, well or badly; whose, `conclude` says."""

    log: SanitizeLog


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What was seen from the start until the end or the deadline. `last_log`: the newest answer."""

    last_log: SanitizeLog | None
    has_ended: bool
    seen_in_progress: Seen
    timed_out: Seen
    errors: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SanitizeFacts:
    """What one sanitize left behind, in the words of evidence. Nothing here is a verdict."""

    technique: Technique
    submission: bytes
    #: Two bytes, big-endian, phase bit removed; None where no answer came.
    completion_status: bytes | None
    was_accepted: Seen
    #: First 64 bytes of log page 81h.
    status_log_before: bytes
    status_log_after: bytes | None
    seen_in_progress: Seen
    timed_out: Seen
    #: The log after the end names our own command (SCDW10 equals the dword 10 that was sent).
    is_log_ours: Seen
    same_identity_after: Seen
    errors: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """How long a drive may take, in seconds of the clock handed in. Some never end (nvme-cli#3027)."""

    no_progress_seconds: int
    total_seconds: int
    #: Real drives want at least a second between polls (erasure.md, 2.4).
    poll_seconds: float = 1.0


#: Without the drive's own estimate. Crypto takes 1-3 s on server drives, block erase up to minutes
#: (erasure.md, 2.4): these are far above, and below a night.
DEFAULT_DEADLINES = {
    SanitizeAction.CRYPTO_ERASE: Deadlines(no_progress_seconds=300, total_seconds=900),
    SanitizeAction.BLOCK_ERASE: Deadlines(no_progress_seconds=900, total_seconds=14_400),
}
#: How far a drive may exceed its own estimate.
PATIENCE = 3
#: An estimate beyond a day is not believed; it would keep a host for weeks.
MAX_ESTIMATE_SECONDS = 86_400


class NvmeSanitize:
    """One technique: Sanitize with one action."""

    def __init__(self, technique: Technique, action: SanitizeAction) -> None:
        self.technique = technique
        self.action = action

    def prepare(self, drive: NvmeDrive) -> Prepared:
        """Reads only. Raises Refused: TECHNIQUE_UNAVAILABLE, SANITIZE_RUNNING or DRIVE_WRITE_PROTECTED;
        DeviceError or Malformed when the drive does not answer or not as its standard says.

        An earlier sanitize that failed does not refuse: a new one is the way out of that state.
        """
        controller = drive.identify_controller()
        able = {
            SanitizeAction.CRYPTO_ERASE: controller.has_crypto_erase,
            SanitizeAction.BLOCK_ERASE: controller.has_block_erase,
        }
        if not able.get(self.action, False):
            reason = f"SANICAP {controller.sanitize_capabilities:08X}h lacks {self.action.name.lower()}"
            raise Refused(DocumentCode.TECHNIQUE_UNAVAILABLE, reason)
        for nsid in drive.active_namespaces():
            if drive.identify_namespace(nsid).is_write_protected:
                raise Refused(Code.DRIVE_WRITE_PROTECTED, f"namespace {nsid} is write-protected")
        log = drive.sanitize_log()
        if log.is_running:
            raise Refused(
                Code.SANITIZE_RUNNING, f"at {log.progress_65536ths}/65536, dword 10 {log.dword10:08X}h"
            )
        command = nvme.sanitize(self.action, no_deallocate=not controller.inhibits_no_deallocate)
        return Prepared(identity=drive.identity(), log=log, command=command, counters=_counters(drive))

    def start(self, drive: NvmeDrive, prepared: Prepared) -> Started:
        """Sends the prepared command, once. Irreversible."""
        try:
            answer = drive.submit_once(prepared.command)
        except TransportError as error:
            return Started(command=prepared.command, answer=None, errors=(error.code.value,))
        errors = () if answer.is_success else (Code.DEVICE_STATUS.value,)
        return Started(command=prepared.command, answer=answer, errors=errors)

    def poll(self, drive: NvmeDrive) -> Running | Ended:
        """Asks the drive once. An answer that does not come is no end."""
        try:
            log = drive.sanitize_log()
        except (DeviceError, Malformed) as error:
            return Running(log=None, errors=(error.code.value,))
        return Ended(log=log) if log.has_ended else Running(log=log)

    def deadlines(self, prepared: Prepared) -> Deadlines:
        """How long this drive may take: the default, or its own estimate and patience if longer."""
        default = DEFAULT_DEADLINES[self.action]
        is_kept = bool(prepared.command.dword10 & nvme.NO_DEALLOCATE_AFTER_SANITIZE)
        log = prepared.log
        estimate = {
            (SanitizeAction.CRYPTO_ERASE, True): log.crypto_erase_no_deallocate_seconds,
            (SanitizeAction.CRYPTO_ERASE, False): log.crypto_erase_seconds,
            (SanitizeAction.BLOCK_ERASE, True): log.block_erase_no_deallocate_seconds,
            (SanitizeAction.BLOCK_ERASE, False): log.block_erase_seconds,
        }[self.action, is_kept]
        if estimate == nvme.NO_ESTIMATE:
            return default
        total = max(default.total_seconds, PATIENCE * min(estimate, MAX_ESTIMATE_SECONDS))
        return Deadlines(
            no_progress_seconds=max(default.no_progress_seconds, total // 4),
            total_seconds=total,
            poll_seconds=default.poll_seconds,
        )

    def watch(
        self,
        drive: NvmeDrive,
        started: Started,
        *,
        deadlines: Deadlines,
        now_ms: Callable[[], int],
        pause: Callable[[float], None],
        report: Callable[[SanitizeLog], None],
    ) -> Watched:
        """Polls until the drive says that it ended, shows no progress for too long, or takes too long.

        `now_ms` is a monotonic clock, `pause` waits that many seconds, `report` is told each log that shows
        our command running. A command that the drive refused is not waited for: one look, and done.
        """
        errors: list[str] = []
        last_log: SanitizeLog | None = None
        seen = Seen.NOT_OBSERVED
        began_ms = moved_ms = now_ms()
        progress = -1
        for _ in range(_most_polls(deadlines)):
            step = self.poll(drive)
            if step.log is not None:
                last_log = step.log
                is_ours = step.log.dword10 == started.command.dword10
                seen = Seen.YES if seen is Seen.YES or (step.log.is_running and is_ours) else Seen.NO
                if step.log.is_running and is_ours:
                    report(step.log)
                if step.log.is_running and step.log.progress_65536ths != progress:
                    progress, moved_ms = step.log.progress_65536ths, now_ms()
            if isinstance(step, Running):
                errors.extend(error for error in step.errors if error not in errors)
            is_refused = started.was_accepted is Seen.NO
            if isinstance(step, Ended) or is_refused:
                return _watched(last_log, not is_refused, seen, Seen.NO, errors)
            if _is_over(now_ms(), began_ms=began_ms, moved_ms=moved_ms, deadlines=deadlines):
                break
            pause(deadlines.poll_seconds)
        return _watched(last_log, False, seen, Seen.YES, errors)

    def conclude(
        self, drive: NvmeDrive, prepared: Prepared, started: Started, watched: Watched
    ) -> SanitizeFacts:
        """The facts, after reading the drive's identity again."""
        log = watched.last_log
        is_ours = Seen.NOT_OBSERVED if log is None else Seen.that(log.dword10 == started.command.dword10)
        errors = [*started.errors, *watched.errors]
        if watched.has_ended and log is not None and log.state is nvme.SanitizeState.FAILED:
            errors.append(Code.SANITIZE_FAILED.value)
        if watched.timed_out is Seen.YES:
            errors.append(Code.COMMAND_TIMED_OUT.value)
        try:
            same = Seen.that(drive.identity() == prepared.identity)
        except (DeviceError, Malformed) as error:
            same = Seen.NOT_OBSERVED
            errors.append(error.code.value)
        is_unanswered = started.answer is None
        return SanitizeFacts(
            technique=self.technique,
            submission=started.command.sqe,
            completion_status=None if started.answer is None else started.answer.raw_status,
            was_accepted=started.was_accepted,
            status_log_before=prepared.log.head,
            status_log_after=None if log is None else log.head,
            seen_in_progress=watched.seen_in_progress,
            timed_out=Seen.YES if is_unanswered else watched.timed_out,
            is_log_ours=is_ours,
            same_identity_after=same,
            errors=tuple(dict.fromkeys(errors)),
        )


def _counters(drive: NvmeDrive) -> dict[str, str]:
    """Counters that help later and decide nothing: a drive that does not tell them is erased all the same."""
    try:
        return drive.health_log().counters
    except (DeviceError, Malformed):
        return dict.fromkeys(nvme.COUNTER_NAMES, NOT_OBSERVED)


def _most_polls(deadlines: Deadlines) -> int:
    """A bound that does not depend on the clock handed in."""
    return int(deadlines.total_seconds / deadlines.poll_seconds) + 2


def _is_over(now_ms: int, *, began_ms: int, moved_ms: int, deadlines: Deadlines) -> bool:
    is_stalled = now_ms - moved_ms >= deadlines.no_progress_seconds * 1000
    return is_stalled or now_ms - began_ms >= deadlines.total_seconds * 1000


def _watched(
    log: SanitizeLog | None, has_ended: bool, seen: Seen, timed_out: Seen, errors: list[str]
) -> Watched:
    return Watched(
        last_log=log, has_ended=has_ended, seen_in_progress=seen, timed_out=timed_out, errors=tuple(errors)
    )


CRYPTO = NvmeSanitize(Technique.NVME_SANITIZE_CRYPTO, SanitizeAction.CRYPTO_ERASE)
BLOCK = NvmeSanitize(Technique.NVME_SANITIZE_BLOCK, SanitizeAction.BLOCK_ERASE)
