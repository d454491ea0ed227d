"""Taking an order on: from a delivery to a spent token and a process that works on alone.

Rules, in this order:
1. A token that was seen before is refused, whatever comes with it: spent, or poisoned.
2. `certificate.delivery` decides from the documents whether the order may be obeyed at all.
3. An authentic order raises the highest fence, so that an older one may begin nothing more.
4. One execution at a time, under the lock, which the executing process inherits and never lets go between;
   and no new one while an earlier token of this boot may have begun and gave no evidence.
5. `admission` decides from the machine as it is now, and what stands on the drives can be let go.
6. No approval that it rests on was used by another token of this boot, unless that one was poisoned.
7. The token is spent, durably, and its approvals with it; the journal begins; then the process is started.

Killed between 7's parts, the token stays spent and is answered as `absent`.
"""

from __future__ import annotations

import os

from agent import admission, inventory, tokens, wiring
from agent.errors import Code
from agent.journal import JournalWriter, Kind
from agent.journal_bodies import AcceptedBody, write_body
from agent.run_directory import BootRecord, HelloRecord, RunDirectory
from agent.tokens import TokenFolder, TokenRecord
from agent.world import World
from certificate import delivery, envelope, trust
from certificate.delivery import Delivery, Obeyable
from certificate.errors import Refused
from certificate.messages import Accepted, Execute, HostFactReport, InventoryAnswer
from certificate.statements import Order
from certificate.statements import statement as statements

MARKER_NONCE_BYTES = 32


def accept(run: RunDirectory, request: Execute, *, world: World, launcher: wiring.Launcher) -> Accepted:
    """Obeys, or raises Refused with the first rule that is broken; then nothing was begun."""
    token = _peek_token(request)
    folder = tokens.folder(run, token)
    _require_fresh(folder)
    obeyable = _obey(run, request, now_ms=world.clock())
    admission.require_fence(obeyable.order, run.fence())
    run.raise_fence(obeyable.order.fence, token=token)
    lock = run.take_lock()
    if lock is None:
        raise Refused(Code.BUSY, "an execution is running")
    try:
        if (earlier := tokens.unsettled(run)) is not None and earlier.token != token:
            raise Refused(
                Code.EARLIER_UNSETTLED, f"token {earlier.token[:8]} has neither evidence nor absence"
            )
        _begin(run, folder, request, obeyable, world)
        launcher(run, token, lock, False)
    finally:
        os.close(lock)
    return Accepted(token=token)


def _peek_token(request: Execute) -> str:
    """The token the order names, before anything is believed: it can only lead to a refusal."""
    return statements.read(envelope.read(request.delivery.order.encode()).payload, Order).predicate.token


def _require_fresh(folder: TokenFolder) -> None:
    if folder.poison() is not None:
        raise Refused(Code.TOKEN_POISONED, "this token was given up for ever")
    if folder.record() is not None:
        raise Refused(Code.TOKEN_SPENT, "this order was accepted before")


def _require_unused(run: RunDirectory, record: TokenRecord) -> None:
    spent = tokens.spent_approvals(run, besides=record.token)
    if used := spent.intersection(record.approvals):
        raise Refused(Code.APPROVAL_SPENT, f"approval {min(used)[:12]} was used by another order")


def _obey(run: RunDirectory, request: Execute, *, now_ms: int) -> Obeyable:
    boot, hello = run.boot(), run.hello()
    if hello is None:
        raise Refused(Code.HELLO_MISSING, "this boot was never asked for a nonce to be named by an order")
    return delivery.obey(
        Delivery.from_line(request.delivery),
        trust=trust.read(run.trust_root_file.read_bytes()),
        boot_id=boot.boot_id,
        hello_nonce=hello.nonce,
        hello_at_ms=hello.boottime_ms,
        now_ms=now_ms,
    )


def _begin(
    run: RunDirectory, folder: TokenFolder, request: Execute, obeyable: Obeyable, world: World
) -> None:
    boot, hello, order = run.boot(), run.hello(), obeyable.order
    if hello is None or hello.nonce != order.hello_nonce:
        raise Refused(Code.HELLO_MISSING, "a newer hello replaced the one that this order names")
    storage, seen = wiring.take_inventory(boot)
    machine = admission.Machine(
        boot=boot,
        fence=run.fence(),
        host_facts=seen.host_facts,
        drives=seen.drives,
        host_salt=request.host_salt,
        media_salts=request.media_salts,
    )
    admitted = admission.admit(order, machine)
    teardown = inventory.teardown(storage, seen.drives, pause=world.pause)
    teardown.require_possible([seen.drives[medium.drive].serial for medium in admitted.media])
    record = _record(obeyable, boot, hello, accepted_at_ms=world.clock())
    with run.settling():
        _require_fresh(folder)
        _require_unused(run, record)
        folder.begin(record, request, marker_nonce=world.random_bytes(MARKER_NONCE_BYTES))
    journal = JournalWriter(folder.journal_file, token=order.token, clock=world.clock)
    journal.append(Kind.ACCEPTED, step="accepted", body=write_body(_body(obeyable, admitted, seen)))
    journal.close()


def _record(obeyable: Obeyable, boot: BootRecord, hello: HelloRecord, *, accepted_at_ms: int) -> TokenRecord:
    order = obeyable.order
    return TokenRecord(
        token=order.token,
        order=order.order,
        order_digest=obeyable.order_digest,
        fence=order.fence,
        boot_id=boot.boot_id,
        hello_nonce=order.hello_nonce,
        hello_at_ms=hello.boottime_ms,
        accepted_at_ms=accepted_at_ms,
        valid_for_s=order.valid_for_s,
        approvals=tuple(reference.digest for reference in order.basis.approvals),
    )


def _body(obeyable: Obeyable, admitted: admission.Admission, seen: InventoryAnswer) -> AcceptedBody:
    return AcceptedBody(
        order=obeyable.order.order,
        order_digest=obeyable.order_digest,
        fence=str(obeyable.order.fence),
        host_facts=tuple(
            HostFactReport(kind=fact.kind.value, value=fact.agrees.value) for fact in admitted.host_facts
        ),
        residue=seen.residue,
        device_classes=tuple(
            HostFactReport(kind=medium.planned.commitment, value=seen.drives[medium.drive].device_class)
            for medium in admitted.media
        ),
    )
