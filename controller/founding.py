"""Founding a home: keys, trust root version 1, policy, database, genesis. Once, and never over another.

Rules: nothing that exists is written over; the trust root is written last, so that a home in which it lies is
whole and one without it was never used; the root key signs twice (trust root, validation table) and is let
go. The table accepts one row, the strongest proof this release can produce. All else that reaches the floor
is a drive's own word, or one nobody has weighed yet: it is escalated to a person (SP 800-88r2, 4.5.2). No row
rejects, because what misses the floor is never planned, and never `erased`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from certificate import envelope as dsse
from certificate import trust
from certificate.envelope import Envelope
from certificate.errors import Refused
from certificate.keys import PrivateKey, PublicKey
from certificate.log import checkpoint as log_checkpoint
from certificate.log.checkpoint import Checkpoint
from certificate.log.entry import LogKind
from certificate.policy import Policy
from certificate.statements import Purpose, ValidationTable, make, subject
from certificate.statements.validation import DataClassRule, ValidationRow
from certificate.statements.vocabulary import (
    DeviceClass,
    Escrow,
    Grade,
    MediaKind,
    Method,
    OverwritePattern,
    ReadBackMode,
    Technique,
    ValidationDecision,
)
from certificate.trust import TrustRoot
from controller.configuration import Configuration, configuration_at, parse_configuration
from controller.configuration_template import configuration_template
from controller.errors import Code
from controller.home import Home, write_durably
from controller.keyring import Keyring
from controller.machine import machine_id
from controller.store import identity, log_rows
from controller.store.anchor import AnchorKeeper
from controller.store.engine import Store, create_store
from controller.store.head import read_head

#: Long enough that nobody renews in a hurry, short enough that a provider practises it.
TRUST_ROOT_LIFE = timedelta(days=5 * 365)
DEFAULT_DATA_CLASS = "default"
#: Emulated media and files prove nothing: only a demonstration's policy names them (DESIGN.md, "What is
#: claimed").
ACCEPTED_MEDIA: dict[Purpose, tuple[DeviceClass, ...]] = {
    Purpose.PRODUCTION: (DeviceClass.PHYSICAL,),
    Purpose.DEMONSTRATION: (DeviceClass.EMULATED, DeviceClass.IMAGE_FILE),
}


@dataclass(frozen=True, kw_only=True)
class Founding:
    """What a provider decides when it begins. `operators`: the first two, active at once."""

    domain: str
    purpose: Purpose
    operators: tuple[PublicKey, PublicKey]


@dataclass(frozen=True, kw_only=True)
class Founded:
    """What was made. `fingerprint` (64 hexadecimal digits) goes on paper and into every erase image."""

    home: Home
    fingerprint: str
    origin: str
    purpose: Purpose
    operators: tuple[str, str]


def found(
    home: Home,
    founding: Founding,
    *,
    passphrase: bytes,
    now: datetime,
    randomness: Callable[[int], bytes],
) -> Founded:
    """Makes a home. `now` is cut to whole seconds in what is signed.

    Raises Refused: HOME_EXISTS, HOME_IN_USE, OPERATORS_NOT_TWO, CONFIGURATION_INVALID for a domain that no
    trust root can hold or an expunge.toml that was there before and cannot be read.
    """
    if len({key.raw for key in founding.operators}) != 2:
        raise Refused(Code.OPERATORS_NOT_TWO, "the first two operators have the same key")
    _refuse_used(home)
    home.create_folders()
    with home.locked():
        _refuse_used(home)
        configuration = _configuration(home, founding.domain)
        root_key, keyring = Keyring.create(home.keys, passphrase=passphrase, randomness=randomness)
        issued_at = now.replace(microsecond=0)
        root = _trust_root(founding, root_key, keyring, issued_at, randomness(16))
        envelope = trust.sign(root, root_key)
        table = _validation_table(founding.purpose, issued_at, randomness(16), envelope.payload_digest)
        write_durably(home.validation_table, dsse.sign(table, root_key).write())
        write_durably(home.verify_policy, _verify_policy(founding.purpose).write())
        write_durably(home.trust_root.with_name("issuer.pem"), keyring.issuer.public.pem, mode=0o644)
        keeper = AnchorKeeper(configuration.anchor_path(home), machine_id=machine_id())
        _create_database(home, keeper, envelope, root.log.origin, keyring.log, now, randomness)
        write_durably(home.trust_root, envelope.write())
    return Founded(
        home=home,
        fingerprint=envelope.payload_digest,
        origin=root.log.origin,
        purpose=founding.purpose,
        operators=(founding.operators[0].keyid, founding.operators[1].keyid),
    )


def _refuse_used(home: Home) -> None:
    if home.is_initialised:
        raise Refused(Code.HOME_EXISTS, f"{home.path} is a home already")
    for path in (home.database, home.validation_table, home.keys):
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise Refused(
                Code.HOME_EXISTS,
                f"{path} is there, but no trust root: an init ended half-way",
                remedy="Remove keys, policy, state and trust here (nothing used them) and run init again.",
            )


def _configuration(home: Home, domain: str) -> Configuration:
    """The one that is there, else the template. A domain that no file may name never gets into one."""
    template = configuration_template(domain=domain)
    parse_configuration(template, name="--domain")
    if not home.configuration.exists():
        write_durably(home.configuration, template)
    configuration = configuration_at(home)
    if configuration.provider.domain != domain:
        raise Refused(
            Code.CONFIGURATION_INVALID, f"provider.domain is {configuration.provider.domain}, not {domain}"
        )
    return configuration


def _trust_root(
    founding: Founding, root_key: PrivateKey, keyring: Keyring, issued_at: datetime, nonce: bytes
) -> TrustRoot:
    try:
        return TrustRoot.new(
            purpose=founding.purpose,
            domain=founding.domain,
            nonce=nonce.hex(),
            created_at=issued_at,
            expires_at=issued_at + TRUST_ROOT_LIFE,
            root_key=root_key.public,
            order_key=keyring.order.public,
            issuer_key=keyring.issuer.public,
            boot_key=keyring.boot.public,
            log_key=keyring.log.public,
            operators=founding.operators,
            erase_images=(),
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the trust root"
        raise Refused(Code.CONFIGURATION_INVALID, f"{place}: {first['msg']}") from None


def _validation_table(purpose: Purpose, issued_at: datetime, nonce: bytes, root_digest: str) -> bytes:
    """The payload of table 1: its subject is the trust root under which it holds."""
    table = ValidationTable(
        schema_version=1,
        purpose=purpose,
        nonce=nonce.hex(),
        issued_at=issued_at,
        version=1,
        rules=(
            DataClassRule(
                data_class=DEFAULT_DATA_CLASS,
                floor=Method.PURGE,
                approvals_required=0,
                overwrite=OverwritePattern.KEYSTREAM,
                read_back=ReadBackMode.FULL,
                # Nobody has said yet whether copies of keys are kept, and init does not say it for them.
                escrow=Escrow.UNKNOWN,
            ),
        ),
        rows=(
            ValidationRow(
                data_class=DEFAULT_DATA_CLASS,
                media=MediaKind.SELF_ENCRYPTING_NVME,
                technique=Technique.NVME_SANITIZE_CRYPTO,
                grade=Grade.MARKER_PROVEN,
                decision=ValidationDecision.ACCEPT,
            ),
        ),
        otherwise=ValidationDecision.ESCALATE,
    )
    return make(table, (subject("trust-root", root_digest),)).payload()


def _verify_policy(purpose: Purpose) -> Policy:
    """The provider's own policy: as strict as a stranger's, about media of the kind this purpose is for."""
    strict = Policy.production()
    return Policy(
        schema_version=1,
        purposes=(purpose,),
        device_classes=ACCEPTED_MEDIA[purpose],
        minimum_method=strict.minimum_method,
        minimum_grade=strict.minimum_grade,
        log=strict.log,
        maximum_schema=strict.maximum_schema,
    )


def _create_database(
    home: Home,
    keeper: AnchorKeeper,
    root: Envelope,
    origin: str,
    log_key: PrivateKey,
    now: datetime,
    randomness: Callable[[int], bytes],
) -> None:
    """The database with its identity, log entry 0 and the checkpoint over it; the anchor says the same."""
    store = create_store(home.database)
    try:
        with store.transaction() as tx:
            identity.create(tx, store_id=randomness(32).hex(), machine_id=machine_id(), now=now)
            log_rows.append_entry(tx, envelope=root, kind=LogKind.GENESIS, now=now)
        _sign_first_checkpoint(store, origin, log_key, now)
        with store.snapshot() as tx:
            keeper.place(read_head(tx))
    finally:
        store.close()


def _sign_first_checkpoint(store: Store, origin: str, log_key: PrivateKey, now: datetime) -> None:
    with store.snapshot() as tx:
        due = log_rows.unsigned(tx)
    if due is None:
        raise ValueError("a new log has its genesis to sign")
    note = log_checkpoint.sign(Checkpoint(origin=origin, size=due.size, root=due.root), log_key)
    with store.transaction() as tx:
        log_rows.store_checkpoint(tx, due, note=note, now=now)
