"""NVMe Format NVM with a secure erase: of the media key (crypto, SES 2) or of all user data (SES 1).

Rules: `prepare` only reads, and refuses whatever a Format would leave behind: unallocated capacity (UNVMCAP),
a namespace that exists and is not attached (QEMU keeps its data: test-rig.md, 2), a drive whose sanitize runs
or failed, write protection; it needs OACS bit 1, and FNA bit 2 for a cryptographic one, because a drive may
accept SES 2 without it and destroy no key. Each namespace keeps its LBA format, metadata and protection
setting, or zeros would change them silently. `start` sends once, and a lost answer is `not_observed`, never a
second send.

How many commands: where a secure erase reaches every namespace (FNA bit 1), or there is only one, one command
is all ("": FFFFFFFFh where that is allowed, FNA bit 3); else one a namespace ("ns1", "ns2", ...). Where a
command would touch several namespaces (FNA bits 0 and 1), they must be formatted alike, or one would take
another's format: refused.

Evidence: a Format blocks until it is over and leaves no status log, so its completion is all there is; a
locked drive says 286h, a format the drive does not take 10Ah, another one on its way 84h. Sources: NVM
Express Base 2.0, 5.14 (from memory); erasure.md, 2.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.devices import nvme_commands
from agent.devices.drive import Drive
from agent.devices.nvme import IdentifyController, NvmeDrive
from agent.devices.nvme_commands import Command, NamespaceFormat, SecureErase
from agent.errors import Code, TransportError
from agent.techniques import nvme_state
from agent.techniques.technique import Aim, Facts, Prepared, Report, Started, Watched
from certificate.errors import Refused
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Technique

#: The only step where one command is enough.
EVERY_NAMESPACE: Final = ""


@dataclass(frozen=True, kw_only=True)
class _Survey:
    """What must stay the same until the command: namespaces, their formats, how far one command reaches."""

    layouts: dict[int, NamespaceFormat]
    is_one_command: bool
    has_broadcast: bool

    @property
    def steps(self) -> tuple[str, ...]:
        if self.is_one_command:
            return (EVERY_NAMESPACE,)
        return tuple(f"ns{nsid}" for nsid in self.layouts)

    def target(self, step: str) -> tuple[int, NamespaceFormat]:
        """The namespace id that the command of `step` names, and the format it repeats."""
        if step not in self.steps:
            raise nvme_state.unavailable(f"there is no step {step!r} (any more): {', '.join(self.steps)}")
        if step:
            nsid = int(step.removeprefix("ns"))
            return nsid, self.layouts[nsid]
        first = min(self.layouts)
        is_broadcast = self.has_broadcast and len(self.layouts) > 1
        return nvme_commands.ALL_NAMESPACES if is_broadcast else first, self.layouts[first]


class NvmeFormat:
    """One technique: Format NVM with one secure erase setting."""

    def __init__(self, technique: Technique, erase: SecureErase) -> None:
        self._technique = technique
        self.erase = erase

    @property
    def technique(self) -> Technique:
        return self._technique

    def steps(self, drive: Drive, aim: Aim) -> tuple[str, ...]:
        """("",) or one for each namespace. Reads only; raises as `prepare`."""
        return self._survey(nvme_state.nvme_drive(drive)).steps

    def prepare(self, drive: Drive, aim: Aim, *, step: str) -> Prepared:
        """Reads only. Raises Refused: TECHNIQUE_UNAVAILABLE, SANITIZE_RUNNING, SANITIZE_FAILED or
        DRIVE_WRITE_PROTECTED; DeviceError or Malformed when the drive does not answer as its standard says.
        """
        asked = nvme_state.nvme_drive(drive)
        nsid, layout = self._survey(asked).target(step)
        return Prepared(
            identity=asked.identity(),
            submission=nvme_commands.format_nvm(self.erase, layout, nsid=nsid).sqe,
            status_before=None,
            counters=nvme_state.counters(asked),
        )

    def start(self, drive: Drive, prepared: Prepared) -> Started:
        """Sends the prepared command, once, and waits for its completion. Irreversible."""
        if prepared.submission is None:
            raise ValueError("a format is a command")
        command = Command.of(f"Format NVM ({self.erase.name.lower()})", prepared.submission)
        try:
            answer = nvme_state.nvme_drive(drive).submit_once(command)
        except TransportError as error:
            return Started(
                was_accepted=Seen.NOT_OBSERVED,
                completion=None,
                errors=(error.code.value,),
                handle=prepared.submission,
            )
        return Started(
            was_accepted=Seen.that(answer.is_success),
            completion=answer.raw_status,
            errors=() if answer.is_success else (Code.DEVICE_STATUS.value,),
            handle=prepared.submission,
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
        """Nothing to wait for: it ended with its completion, or nobody knows whether it did."""
        is_answered = started.completion is not None
        return Watched(
            status=None,
            has_ended=is_answered,
            seen_in_progress=Seen.NOT_OBSERVED,
            timed_out=Seen.that(not is_answered),
            errors=(),
        )

    def conclude(self, drive: Drive, prepared: Prepared, started: Started, watched: Watched) -> Facts:
        """The facts. A Format without completion has neither failed nor succeeded."""
        return Facts(
            status_after=None,
            seen_in_progress=watched.seen_in_progress,
            timed_out=watched.timed_out,
            has_failed=started.was_accepted is Seen.NO,
            overwrite=None,
            errors=tuple(dict.fromkeys((*started.errors, *watched.errors))),
        )

    def _survey(self, drive: NvmeDrive) -> _Survey:
        controller = drive.identify_controller()
        self._refuse_unannounced(controller)
        attached = drive.active_namespaces()
        _refuse_leftovers(drive, controller, attached)
        nvme_state.refuse_write_protected(drive, attached)
        if controller.has_sanitize:
            log = drive.sanitize_log()
            nvme_state.refuse_running(log)
            if log.has_failed:
                raise Refused(
                    Code.SANITIZE_FAILED, "after a failed sanitize only a sanitize is accepted (1Ch)"
                )
        layouts = {nsid: drive.identify_namespace(nsid).layout for nsid in attached}
        is_wide = controller.formats_every_namespace or controller.erases_every_namespace
        if is_wide and len(set(layouts.values())) > 1:
            word = f"FNA {controller.format_attributes:02X}h"
            raise nvme_state.unavailable(f"{word}: one Format would give every namespace the same format")
        return _Survey(
            layouts=layouts,
            is_one_command=controller.erases_every_namespace or len(layouts) == 1,
            has_broadcast=not controller.refuses_broadcast_format,
        )

    def _refuse_unannounced(self, controller: IdentifyController) -> None:
        if not controller.has_format:
            raise nvme_state.unavailable(f"OACS {controller.optional_admin_commands:04X}h lacks Format NVM")
        if self.erase is SecureErase.CRYPTOGRAPHIC and not controller.has_cryptographic_format:
            word = f"FNA {controller.format_attributes:02X}h"
            raise nvme_state.unavailable(f"{word} lacks a cryptographic Format")


def _refuse_leftovers(drive: NvmeDrive, controller: IdentifyController, attached: tuple[int, ...]) -> None:
    """Raises Refused(TECHNIQUE_UNAVAILABLE) where a Format would leave data behind."""
    if controller.unallocated_capacity_bytes:
        left = f"UNVMCAP {controller.unallocated_capacity_bytes}"
        raise nvme_state.unavailable(f"{left}: a Format would leave what lies there")
    if not attached:
        raise nvme_state.unavailable("the drive has no namespace that a Format could reach")
    if controller.has_namespace_management:
        detached = sorted(set(drive.allocated_namespaces()) - set(attached))
        if detached:
            raise nvme_state.unavailable(f"namespace {detached[0]} is not attached: a Format would leave it")


CRYPTO = NvmeFormat(Technique.NVME_FORMAT_CRYPTO, SecureErase.CRYPTOGRAPHIC)
USER_DATA = NvmeFormat(Technique.NVME_FORMAT_USER_DATA, SecureErase.USER_DATA)
