"""One running controller: its store, drivers, keys and documents, chosen once in `wiring`.

Everything that acts or asks gets a `Program`; nothing looks for its parts itself. Time and randomness are
parts too, so that a test can hand in its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from certificate.policy import Policy
from certificate.statements.validation import ValidationTable
from certificate.trust import TrustRoot
from controller import tables
from controller.boot import BootDriver
from controller.bundles import SignedFiles
from controller.channels import Route
from controller.command_template import CommandTemplate
from controller.configuration import Configuration
from controller.keyring import Keyring
from controller.pseudonyms import Pseudonyms
from controller.quarantine import Quarantine
from controller.sources import Source
from controller.store.anchor import AnchorKeeper
from controller.store.engine import Store
from controller.store.hosts import Host
from controller.tables import KeptTable

#: 128 random bits: the size of ids, tokens and nonces in signed documents.
NONCE_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Documents:
    """What the root key signed once, read and checked at start. `*_file` are the exact bytes of the files."""

    trust: TrustRoot
    trust_file: bytes
    #: SHA-256 of the trust root's payload, hexadecimal: the fingerprint on paper.
    fingerprint: str
    table: ValidationTable
    table_file: bytes
    table_digest: str
    #: What the provider itself insists on before it releases a host.
    policy: Policy
    #: The tables before the one in force, newest first: what was ordered under one is judged by it.
    earlier_tables: tuple[KeptTable, ...] = ()

    @property
    def present_table(self) -> KeptTable:
        """The one under which plans are made."""
        return KeptTable(table=self.table, file=self.table_file, digest=self.table_digest)

    def table_named(self, digest: str) -> KeptTable:
        """The table that a plan or order names. Raises Refused(TABLE_NOT_KEPT)."""
        return tables.named(digest, (self.present_table, *self.earlier_tables))

    @property
    def signed_files(self) -> SignedFiles:
        return SignedFiles(
            trust_root=self.trust_file,
            validation_table=self.table_file,
            earlier_tables=tuple(each.file for each in self.earlier_tables),
        )


@dataclass(frozen=True, kw_only=True)
class Program:
    """The parts of one running controller."""

    store: Store
    keeper: AnchorKeeper
    configuration: Configuration
    documents: Documents
    keyring: Keyring = field(repr=False)
    pseudonyms: Pseudonyms
    source: Source
    quarantine: Quarantine
    boot: BootDriver
    #: Tells the customer; None where the policy waives that, or says nothing of it.
    notice: CommandTemplate | None
    #: Calls a person for a new alarm; None where the log and `expunge status` have to do.
    alarm: CommandTemplate | None = None
    route: Callable[[Host], Route]
    #: A folder of ours (0700) for what a boot hands over.
    boot_folder: Path
    #: Where the files of outcomes are kept: those that say `erased`, and all others.
    certificates_folder: Path
    failures_folder: Path
    #: Aware, UTC.
    clock: Callable[[], datetime]
    random_bytes: Callable[[int], bytes]
    version: str

    def nonce(self) -> str:
        """128 random bits, 32 hexadecimal digits."""
        return self.random_bytes(NONCE_BYTES).hex()

    def whole_second(self) -> datetime:
        """The present instant as signed documents write it: never later than now."""
        return self.clock().replace(microsecond=0)
