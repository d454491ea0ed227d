"""Which drivers a controller runs with: the one place where real ones are chosen, from its configuration.

Rules: trust root, validation table and policy are read and checked before anything is opened; the database is
opened with the anchor that watches it; nothing here talks to the world.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

from certificate import trust
from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.keys import Signer
from certificate.policy import Policy
from controller.boot.command import CommandBoot
from controller.channels import Route
from controller.channels.ssh import Endpoint, Patience, SshRoute
from controller.channels.ssh_identity import from_ssh_agent
from controller.command_template import CommandTemplate
from controller.configuration import Configuration, SourceSettings
from controller.home import Home
from controller.keyring import Keyring
from controller.machine import machine_id
from controller.program import Documents, Program
from controller.pseudonyms import Pseudonyms
from controller.quarantine.command import CommandQuarantine
from controller.sources import Source
from controller.sources.agreeing import AgreeingSource, NamedSource
from controller.sources.billing_database import BillingDatabase
from controller.sources.sql_view import SqlViewSource
from controller.store.anchor import AnchorKeeper
from controller.store.engine import open_store
from controller.store.hosts import Host
from controller.tables import read_tables

#: Trust root, table and policy have a few kilobytes each.
MAX_DOCUMENT_BYTES = 1_500_000
#: A question older than ten seconds is asked again (`pace`), so its answer must have come or failed by then,
#: from however many sources it comes.
SOURCE_TIMEOUT_SECONDS = 8.0


def wire(home: Home, configuration: Configuration, keyring: Keyring) -> Program:
    """The program over this home. Raises Refused for documents that do not verify and a store that cannot be
    opened.
    """
    documents = read_documents(home)
    keeper = AnchorKeeper(configuration.anchor_path(home), machine_id=machine_id())
    return Program(
        store=open_store(home.database, anchoring=keeper),
        keeper=keeper,
        configuration=configuration,
        documents=documents,
        keyring=keyring,
        pseudonyms=Pseudonyms(keyring.pseudonym_key),
        source=source_of(configuration, clock=_utc_now),
        quarantine=_quarantine(configuration),
        boot=_boot(configuration),
        notice=_notice(configuration),
        alarm=_alarm(configuration),
        route=_routes(configuration, keyring),
        boot_folder=home.path / "run" / "boot",
        certificates_folder=home.certificates,
        failures_folder=home.failures,
        clock=_utc_now,
        random_bytes=secrets.token_bytes,
        version=metadata.version("expunge"),
    )


def read_documents(home: Home) -> Documents:
    """What the root key signed, opened under the trust root."""
    trust_file = _read(home.trust_root)
    root = trust.read(trust_file)
    found = read_tables(home.validation_table, root)
    return Documents(
        trust=root,
        trust_file=trust_file,
        fingerprint=trust.fingerprint(trust_file),
        table=found.present.table,
        table_file=found.present.file,
        table_digest=found.present.digest,
        policy=Policy.read(_read(home.verify_policy)),
        earlier_tables=found.earlier,
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_DOCUMENT_BYTES)
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{path}: {error.strerror}") from None


def _utc_now() -> datetime:
    return datetime.now(UTC)


def source_of(configuration: Configuration, *, clock: Callable[[], datetime]) -> Source:
    """[source], and every [[confirming_source]] beside it."""
    patience = SOURCE_TIMEOUT_SECONDS / len(configuration.sources)
    named = tuple(
        NamedSource(name=settings.name, source=_sql_view(settings, clock, patience))
        for settings in configuration.sources
    )
    return named[0].source if len(named) == 1 else AgreeingSource(sources=named, clock=clock)


def _sql_view(
    settings: SourceSettings, clock: Callable[[], datetime], patience_seconds: float
) -> SqlViewSource:
    return SqlViewSource(
        database=BillingDatabase(url=settings.url, timeout_seconds=patience_seconds),
        clock=clock,
        max_heartbeat_age=settings.heartbeat_max_age,
    )


def _template(arguments: tuple[str, ...], timeout: timedelta) -> CommandTemplate:
    return CommandTemplate(arguments=arguments, timeout_seconds=timeout.total_seconds())


def _quarantine(configuration: Configuration) -> CommandQuarantine:
    settings = configuration.quarantine
    return CommandQuarantine(
        isolate_command=_template(settings.isolate, settings.timeout),
        read_back_command=_template(settings.read_back, settings.timeout),
        restore_command=_template(settings.restore, settings.timeout),
    )


def _boot(configuration: Configuration) -> CommandBoot:
    settings = configuration.boot
    return CommandBoot(
        start_command=_template(settings.command, settings.timeout),
        stop_command=_template(settings.stop, settings.timeout),
        boot_trust=settings.trust,
    )


def _notice(configuration: Configuration) -> CommandTemplate | None:
    settings = configuration.notice
    if settings is None or settings.command is None:
        return None
    return _template(settings.command, settings.timeout)


def _alarm(configuration: Configuration) -> CommandTemplate | None:
    settings = configuration.alarm
    return None if settings is None else _template(settings.command, settings.timeout)


def _routes(configuration: Configuration, keyring: Keyring) -> Callable[[Host], Route]:
    settings = configuration.channel
    identity: Signer = keyring.ssh
    if settings.use_ssh_agent:
        identity = from_ssh_agent(keyring.ssh.public.keyid)
    patience = Patience(connect_seconds=settings.connect_timeout.total_seconds())

    def route(host: Host) -> Route:
        endpoint = Endpoint(address=host.address, port=host.port, user=settings.user)
        return SshRoute(endpoint=endpoint, identity=identity, patience=patience)

    return route
