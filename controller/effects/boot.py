"""Start the erase environment: a fresh signed configuration and a fresh single-use secret for each start.

The boot's row, with the sealed secret, is committed before anything is started: whoever answers later can be
proven, whatever crashed in between.
"""

from __future__ import annotations

from datetime import timedelta

from controller.boot import StartRequest
from controller.boot.configuration import SECRET_BYTES, build
from controller.case import Case
from controller.dispatch.lease import Lease
from controller.observe.host import secret_name, target_of
from controller.program import Program
from controller.store import boots, private

#: How long a configuration may wait for its machine: a server's slowest boot, doubled (test-rig.md, 0: 55 s
#: in a virtual machine; firmware of large servers takes up to ten minutes).
CONFIGURATION_LIFE = timedelta(minutes=30)


def perform(program: Program, case: Case, *, lease: Lease) -> None:
    """Raises Refused (nothing was done) or Unanswered (start again, with a new secret)."""
    secret = program.random_bytes(SECRET_BYTES)
    issued_at = program.whole_second()
    configuration = build(
        deprovision=case.id,
        boot_trust=program.boot.boot_trust,
        trust_root_digest=program.documents.fingerprint,
        controller_keys=(program.keyring.ssh.public,),
        secret=secret,
        nonce=program.nonce(),
        purpose=program.documents.trust.purpose,
        issued_at=issued_at,
        expires_at=issued_at + CONFIGURATION_LIFE,
        signer=program.keyring.boot,
    )
    sealed = private.seal(
        program.keyring.private_text_key,
        secret,
        about=secret_name(case.id),
        random_bytes=program.random_bytes,
    )
    with program.store.transaction() as tx:
        boot = boots.prepare(
            tx,
            case.id,
            attempt=case.deprovision.attempt,
            config_envelope=configuration.data,
            sealed_secret=sealed,
            boot_trust=program.boot.boot_trust,
            now=program.clock(),
        )
    directory = program.boot_folder / f"{case.id}-{boot.number}"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lease.require_held()
    program.boot.start(
        StartRequest(
            target=target_of(case.host), configuration=configuration.data, secret=secret, directory=directory
        )
    )
