"""expunge.toml: what the provider decides, read closed and strict.

Rules: an unknown name is refused, so that a misspelt safeguard cannot be silently absent; every refusal names
its place in the file; durations are ISO 8601 (`duration`); paths may be relative to the home. What DESIGN
fixes (the greatest age of an observation, deadlines, the life of an order and of an acknowledgement) is not
configurable and stands with the lifecycle. Approvals and the methods' floors stand in the signed validation
table. Grace and dwell have floors of their own, so that a slip of one number wipes nobody; a demonstration
lowers the floors in so many words, and a production trust root bounds them (`serving.check_agreement`).

The purpose is not configurable either: it is the trust root's. `policy_digest` covers [lifecycle], [limits],
[breaker], [people] and the waiver of [notice], with every default written out, and nothing else: it goes into
every plan, so a changed policy voids approvals, while a changed port does not.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import rfc8785
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic import ValidationError as PydanticValidationError

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.statements.statement import Count, Sentence, Word
from certificate.statements.vocabulary import BootTrust
from certificate.trust import Domain
from controller.duration import Duration
from controller.errors import Code
from controller.home import Home

#: Far beyond any real file; stops a wrong path (a disk image) from being read into memory.
MAX_CONFIGURATION_BYTES = 1_000_000
#: No switch and no management controller takes longer; whoever waits keeps the lease (`dispatch.lease`).
MAX_COMMAND_TIME = timedelta(minutes=8)
#: FORMATS, "Time": beyond five minutes the source's own clock says nothing about ours.
MAX_HEARTBEAT_AGE = timedelta(minutes=5)

#: The program and its arguments, each may hold placeholders that the driver names; no shell reads them.
Command = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
PathText = Annotated[str, Field(min_length=1)]
#: `127.0.0.1:8443`, `[::1]:8443`.
Address = Annotated[str, StringConstraints(pattern=r"^(\[[0-9a-fA-F:]+\]|[0-9a-zA-Z.-]+):[0-9]{1,5}$")]


class Table(BaseModel):
    """One table of the file: frozen, strict, closed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Provider(Table):
    """Who runs this. `domain` must be the trust root's, which names the log."""

    domain: Domain


#: A cap of 0 would be a freeze that nobody signed.
Cap = Annotated[int, Field(ge=1, le=100_000)]


class Limits(Table):
    """How many orders may be dispatched in a window that ends now; the next one waits or asks two people."""

    per_hour: Cap = 4
    per_day: Cap = 20
    #: Being erased at the same time.
    concurrent: Cap = 4
    per_site_per_day: Cap = 12
    per_rack_per_day: Cap = 8
    per_customer_per_day: Cap = 8
    #: Share of the hosts on record, in whole hundredths; at least one host.
    fleet_percent_per_day: Annotated[int, Field(ge=1, le=100)] = 10


class Lifecycle(Table):
    """When a machine may be wiped. `version` is the provider's own count of its changes to the policy."""

    version: Count = 1
    #: The least grace and dwell that this file may name.
    grace_floor: Duration = timedelta(hours=24)
    dwell_floor: Duration = timedelta(hours=4)
    #: From the end of the subscription to the quarantine.
    grace: Duration
    #: From the quarantine to the order: time in which a customer still notices and calls.
    dwell: Duration

    @field_validator("grace", "dwell")
    @classmethod
    def _is_not_below_its_floor(cls, value: timedelta, found: ValidationInfo) -> timedelta:
        floor: timedelta | None = found.data.get(f"{found.field_name}_floor")
        if floor is not None and value < floor:
            raise ValueError(f"{value} is below lifecycle.{found.field_name}_floor, {floor}")
        return value


class Breaker(Table):
    """When what the source says of endings is not believed as a whole (`controller.breaker`)."""

    #: So many times the usual endings of a day stop the intake.
    endings_factor: Annotated[int, Field(ge=2, le=100)] = 3
    #: What counts as usual where the mean of thirty days is less; fewer than these are never a burst.
    usual_at_least: Annotated[int, Field(ge=1, le=100_000)] = 5
    #: Active subscriptions may fall by so many hundredths below the highest census of a day.
    active_fall_percent: Annotated[int, Field(ge=1, le=100)] = 20
    #: How long the source may show no complete census; censuses are looked back on for a day.
    heartbeat_missing_for: Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(hours=12))] = (
        timedelta(hours=1)
    )
    #: Between two censuses: a bad import must be counted before its endings are through their grace.
    census_every: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(minutes=10))] = timedelta(
        minutes=1
    )


class People(Table):
    """When a newcomer's signature begins to count."""

    #: From the signing of an enrolment: time in which anybody who finds the newcomer strange revokes it.
    approver_inert: Duration = timedelta(hours=72)


class SourceSettings(Table):
    """The billing view of FORMATS, "The provider's side", read with an SQLAlchemy URL."""

    kind: Literal["sql_view"]
    name: Word = "billing"
    url: Annotated[str, Field(min_length=1)]
    #: A heartbeat older than this makes every answer unknown.
    heartbeat_max_age: Duration = timedelta(minutes=5)


class QuarantineSettings(Table):
    """Three commands of the provider's: cut the tenant side, say whether it is cut, undo it."""

    kind: Literal["command"] = "command"
    isolate: Command
    read_back: Command
    restore: Command
    timeout: Duration = timedelta(seconds=60)


class BootSettings(Table):
    """Commands that start and stop the erase environment; `trust` is how that environment comes up."""

    kind: Literal["command"] = "command"
    command: Command
    stop: Command
    trust: BootTrust
    timeout: Duration = timedelta(minutes=5)


class ChannelSettings(Table):
    """How agents are reached. With `use_ssh_agent` the SSH key is not read from the home."""

    kind: Literal["ssh"] = "ssh"
    user: Word = "expunge"
    use_ssh_agent: bool = False
    connect_timeout: Duration = timedelta(seconds=20)


class NoticeSettings(Table):
    """A command that tells the customer, or the reason why this provider tells nobody: one of the two.

    With exit code 0, what the command prints is the delivery record.
    """

    kind: Literal["command"] = "command"
    command: Command | None = None
    timeout: Duration = timedelta(seconds=60)
    #: A standing waiver: recorded with each deprovision under the digest of this policy.
    waiver: Sentence | None = None

    @model_validator(mode="after")
    def _tells_or_says_why_not(self) -> Self:
        if (self.command is None) == (self.waiver is None):
            raise ValueError("name a command, or the reason of a waiver, and not both")
        return self


class AlarmSettings(Table):
    """A command that calls a person, run for each new alarm until it ends with exit code 0."""

    kind: Literal["command"] = "command"
    command: Command
    timeout: Duration = timedelta(seconds=60)


class WebhookSettings(Table):
    """Where signed webhooks are received, and the file with the secret (`whsec_...`)."""

    listen: Address
    secret_file: PathText


class AnchorSettings(Table):
    """Where the copy of the ledger's head lies: another disk than the database's."""

    path: PathText


class Configuration(Table):
    """The whole file."""

    format: Annotated[Literal[1], Field(alias="schema")] = 1
    provider: Provider
    lifecycle: Lifecycle
    limits: Limits = Limits()
    breaker: Breaker = Breaker()
    people: People = People()
    source: SourceSettings
    #: Each must say the same as [source], or nothing has ended.
    confirming_source: tuple[SourceSettings, ...] = ()
    quarantine: QuarantineSettings
    boot: BootSettings
    channel: ChannelSettings = ChannelSettings()
    #: Without this table no notice is ever settled, so no order is made (NOTICES_OPEN).
    notice: NoticeSettings | None = None
    #: Without this table alarms are lines in the log and in `expunge status`.
    alarm: AlarmSettings | None = None
    webhook: WebhookSettings | None = None
    anchor: AnchorSettings | None = None

    @model_validator(mode="after")
    def _keeps_what_is_promised(self) -> Self:
        """No command keeps a worker for ever; an old heartbeat delays no renewal beyond the written bound."""
        for name, timeout in (
            ("quarantine", self.quarantine.timeout),
            ("boot", self.boot.timeout),
            ("notice", timedelta() if self.notice is None else self.notice.timeout),
            ("alarm", timedelta() if self.alarm is None else self.alarm.timeout),
        ):
            if timeout > MAX_COMMAND_TIME:
                raise ValueError(f"{name}.timeout is longer than {MAX_COMMAND_TIME}")
        for source in self.sources:
            if source.heartbeat_max_age > MAX_HEARTBEAT_AGE:
                raise ValueError(f"source.heartbeat_max_age is longer than {MAX_HEARTBEAT_AGE}")
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError(f"each source has a name of its own: {', '.join(names)}")
        return self

    @property
    def sources(self) -> tuple[SourceSettings, ...]:
        """[source] first, then every [[confirming_source]]."""
        return (self.source, *self.confirming_source)

    @property
    def policy_version(self) -> int:
        return self.lifecycle.version

    @property
    def policy(self) -> dict[str, Any]:
        """The policy's tables with every default written out, as JSON values."""
        policy = self.model_dump(mode="json", include={"lifecycle", "limits", "breaker", "people"})
        return policy | {"notice": {"waiver": self.standing_waiver}}

    @property
    def policy_digest(self) -> str:
        """SHA-256 hex of the RFC 8785 form of `policy`."""
        return hashlib.sha256(rfc8785.dumps(self.policy)).hexdigest()

    @property
    def standing_waiver(self) -> str | None:
        """Why nobody is told of endings here; None where somebody is, or nothing was said of it."""
        return None if self.notice is None else self.notice.waiver

    def anchor_path(self, home: Home) -> Path:
        """Absolute; a relative path in the file is relative to the home."""
        return home.path / self.anchor.path if self.anchor is not None else home.anchor

    def webhook_secret_path(self, home: Home) -> Path | None:
        return None if self.webhook is None else home.path / self.webhook.secret_file


def read_configuration(path: Path) -> Configuration:
    """The configuration in `path`.

    Raises Refused: FILE_UNREADABLE, or CONFIGURATION_INVALID whose reason names each wrong place.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIGURATION_BYTES + 1)
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{path}: {error.strerror}") from None
    if len(content) > MAX_CONFIGURATION_BYTES:
        raise Refused(
            Code.CONFIGURATION_INVALID, f"{path.name} has more than {MAX_CONFIGURATION_BYTES} bytes"
        )
    return parse_configuration(content, name=path.name)


def configuration_at(home: Home) -> Configuration:
    """`read_configuration` for the file of this home."""
    return read_configuration(home.configuration)


def parse_configuration(content: bytes, *, name: str = "expunge.toml") -> Configuration:
    """As `read_configuration`, for bytes already read."""
    try:
        raw = tomllib.loads(content.decode())
        document = json.dumps(raw, allow_nan=False, default=_refuse_type)
    except UnicodeDecodeError as error:
        raise Refused(Code.CONFIGURATION_INVALID, f"{name} is not UTF-8 at byte {error.start}") from None
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise Refused(Code.CONFIGURATION_INVALID, f"{name}: {error}") from None
    try:
        # As JSON, because only there does strict reading take a list for a tuple and a word for a member.
        return Configuration.model_validate_json(document)
    except PydanticValidationError as error:
        wrong = [_place(found) for found in error.errors(include_url=False, include_input=False)]
        raise Refused(Code.CONFIGURATION_INVALID, f"{name}: " + "; ".join(wrong)) from None


def _refuse_type(value: Any) -> str:
    raise ValueError(f"{value} is a {type(value).__name__}; dates and times are not used here")


def _place(found: Any) -> str:
    place = ".".join(str(part) for part in found["loc"]) or "the file"
    match found["type"]:
        case "extra_forbidden":
            return f"{place} is not a name of this format"
        case "missing":
            return f"{place} is missing"
        case _:
            return f"{place}: {str(found['msg']).removeprefix('Value error, ')}"
