"""A start of the agent: fresh keys, a signed configuration that is believed only under the trust root.

Rules, in this order:
1. The run directory is a private directory of this user (made 0700 when absent), and nothing executes in it.
2. The configuration is a boot statement signed by a boot key of the trust root that this machine already
   holds, and it names that same root: nothing received adds trust.
3. It has not expired, and the single-use secret is the one it names.
4. An earlier boot's keys, secret and hello are destroyed; its journals are kept apart under its boot_id. Its
   orders are refused from then on, because they name another boot.
5. The secret's file is removed, and `boot.json` is written last: without it there was no boot.

A new boot is a restart of the agent; killing `execute` is not. Source: FORMATS.md, "Keys".
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent import durable
from agent.errors import Code
from agent.run_directory import BootRecord, RunDirectory, boottime_ms, require_own
from certificate import trust
from certificate.errors import Code as CertificateCode
from certificate.errors import Malformed, Refused
from certificate.keys import PrivateKey
from certificate.statements import Boot, Statement

#: Fewer could be guessed; more is no secret of ours.
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 16, 1024
MAX_FILE_BYTES = 1_500_000


@dataclass(frozen=True, kw_only=True)
class BootFiles:
    """What the boot was handed. `only_images`: open simulated drives below it and nothing else, ever."""

    config: Path
    secret: Path
    trust_root: Path
    only_images: Path | None
    host_facts: Path | None


def boot(run: RunDirectory, files: BootFiles, *, now: datetime, session: tuple[str, ...]) -> BootRecord:
    """Makes this boot in `run`. `session`: the command that a controller's key may start, without --run-dir.

    Raises Refused: RUN_DIRECTORY_UNSAFE, BUSY, BOOT_CONFIG_INVALID, FILE_UNREADABLE and the codes of `trust`.
    """
    if files.host_facts is not None and files.only_images is None:
        raise Refused(Code.BOOT_CONFIG_INVALID, "host facts come from a file only where drives are images")
    run.path.mkdir(mode=durable.OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
    require_own(run.path)
    lock = run.take_lock()
    if lock is None:
        raise Refused(Code.BUSY, "an execution of the present boot is running")
    with open(lock, "rb"):  # noqa: PTH123 (a descriptor, closed with the block)
        config_data, trust_data, secret = _read(files.config), _read(files.trust_root), _read(files.secret)
        config = _checked(config_data, trust_data, secret, now=now)
        _set_aside(run)
        record = _make_keys(run, config, config_data, files)
        durable.write_whole(run.config_file, config_data)
        durable.write_whole(run.trust_root_file, trust_data)
        durable.write_whole(run.secret_file, secret)
        durable.make_folder(run.tokens_folder)
        _authorize(run, config.predicate, session)
        _remove_secret(files.secret)
        durable.write_whole(run.boot_file, record.write())
        return record


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{path.name}: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise Malformed(CertificateCode.LIMIT_EXCEEDED, f"{path.name} has {len(data)} bytes")
    return data


def _checked(config_data: bytes, trust_data: bytes, secret: bytes, *, now: datetime) -> Statement[Boot]:
    root = trust.read(trust_data)
    config, _ = root.open_statement(config_data, Boot)
    fingerprint = trust.fingerprint(trust_data)
    if config.predicate.trust_root_digest != fingerprint:
        raise Refused(
            Code.BOOT_CONFIG_INVALID, "the configuration names another trust root than this machine's"
        )
    if now >= config.predicate.expires_at:
        raise Refused(Code.BOOT_CONFIG_INVALID, f"the configuration expired at {config.predicate.expires_at}")
    if not MIN_SECRET_BYTES <= len(secret) <= MAX_SECRET_BYTES:
        raise Refused(
            Code.BOOT_CONFIG_INVALID, f"a secret has {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes"
        )
    if not hmac.compare_digest(hashlib.sha256(secret).hexdigest(), config.predicate.secret_digest):
        raise Refused(Code.BOOT_CONFIG_INVALID, "the secret is not the one the configuration names")
    return config


def _set_aside(run: RunDirectory) -> None:
    """The earlier boot ends here: `boot.json` goes first, so that no session believes what follows."""
    earlier = run.boot().boot_id if run.boot_file.exists() else "unfinished"
    run.boot_file.unlink(missing_ok=True)
    durable.sync_folder(run.path)
    secrets = (run.secret_file, run.evidence_key_file, run.ssh_host_key_file, run.hello_file, run.fence_file)
    for path in secrets:
        path.unlink(missing_ok=True)
    if run.tokens_folder.exists():
        durable.make_folder(run.earlier_folder)
        kept = run.earlier_folder / earlier
        if kept.exists():
            kept = run.earlier_folder / f"{earlier}-{boottime_ms()}"
        run.tokens_folder.rename(kept)
        durable.sync_folder(run.earlier_folder)
    durable.sync_folder(run.path)


def _make_keys(
    run: RunDirectory, config: Statement[Boot], config_data: bytes, files: BootFiles
) -> BootRecord:
    evidence_key, host_key = PrivateKey.generate(), PrivateKey.generate()
    # Without a passphrase: they live in memory-backed files for one boot (FORMATS.md, "Keys").
    durable.write_whole(run.evidence_key_file, evidence_key.to_openssh(passphrase=None))
    durable.write_whole(run.ssh_host_key_file, host_key.to_openssh(passphrase=None))
    public = run.ssh_host_key_file.with_name(run.ssh_host_key_file.name + ".pub")
    durable.write_whole(public, f"{host_key.public.ssh_line}\n".encode(), mode=0o644)
    return BootRecord(
        boot_id=evidence_key.public.boot_id,
        evidence_key=evidence_key.public.raw.hex(),
        ssh_host_key_blob=host_key.public.ssh_blob.hex(),
        config_digest=hashlib.sha256(config_data).hexdigest(),
        purpose=config.predicate.purpose.value,
        deprovision=config.predicate.deprovision,
        boot_trust=config.predicate.boot_trust.value,
        booted_at_ms=boottime_ms(),
        only_images=None if files.only_images is None else str(files.only_images.resolve()),
        host_facts=None if files.host_facts is None else str(files.host_facts.resolve()),
    )


def _authorize(run: RunDirectory, config: Boot, session: tuple[str, ...]) -> None:
    """Each key of the controller may start a session and do nothing else (sshd(8), "restrict")."""
    words = (*session, "--run-dir", str(run.path.resolve()))
    if any(character in word for word in words for character in '"\\\n'):
        raise Refused(
            Code.RUN_DIRECTORY_UNSAFE, "a path with quotes or line feeds cannot stand in authorized_keys"
        )
    command = " ".join(shlex.quote(word) for word in words)
    lines = [f'restrict,command="{command}" {key}\n' for key in config.controller_ssh_keys]
    durable.write_whole(run.authorized_keys_file, "".join(lines).encode())


def _remove_secret(path: Path) -> None:
    """Virtual media may be read-only: there the controller ejects it, and the secret is spent by the boot."""
    try:
        path.unlink()
    except OSError as error:
        if error.errno != errno.EROFS:
            raise Refused(CertificateCode.FILE_UNREADABLE, "the secret's file cannot be removed") from None
