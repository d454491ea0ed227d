"""The expunge.toml that `init` writes where there is none: every table, with its reason.

It is complete but not ready: source, quarantine and boot name programs of the provider's that only the
provider can write, and until they exist each of their answers is unknown and nothing happens. [notice] stays
commented: whether customers are told, and how, is for the provider to say, and until it does no order is
made.
"""

from __future__ import annotations

_TEMPLATE = """\
# Expunge, this controller's configuration. Durations are ISO 8601 (P7D, PT4H, PT90S).
schema = 1

[provider]
domain = "{domain}"

[lifecycle]                     # with limits, breaker and waiver: the policy; raise version with each change
version = 1
grace_floor = "PT24H"           # a shorter grace is refused, so that one wrong number wipes nobody
dwell_floor = "PT4H"
grace = "P7D"                   # from the end of the subscription to the quarantine
dwell = "PT4H"                  # from the quarantine to the order

[limits]                        # orders dispatched; beyond a limit two people must agree
per_hour = 4
per_day = 20
concurrent = 4                  # being erased at the same time
per_site_per_day = 12
per_rack_per_day = 8
per_customer_per_day = 8        # hosts with no customer on record count as one customer's
fleet_percent_per_day = 10      # of the hosts on record; at least one host

[breaker]                       # when the source's endings are believed no more; two operators thaw
endings_factor = 3              # times the usual endings a day (mean of thirty days)
usual_at_least = 5              # what counts as usual at the least
active_fall_percent = 20        # below the highest count of active subscriptions in a day
heartbeat_missing_for = "PT1H"

[people]
approver_inert = "PT72H"        # from the enrolment of an operator until it counts

[source]                        # expunge_subscription, expunge_tenancy, expunge_heartbeat; a read-only role
kind = "sql_view"
name = "billing"
url = "sqlite:////var/lib/billing/billing.db"

# [[confirming_source]]         # a second system that must say the same, or nothing has ended
# kind = "sql_view"
# name = "crm"
# url = "postgresql://expunge@crm/crm"

[quarantine]                    # no shell reads these; see docs for the placeholders
isolate = ["/etc/expunge/quarantine", "isolate", "{{host}}"]
read_back = ["/etc/expunge/quarantine", "read-back", "{{host}}"]
restore = ["/etc/expunge/quarantine", "restore", "{{host}}"]

[boot]                          # starts the erase environment with this boot's configuration and secret
command = ["/etc/expunge/boot", "start", "{{host}}", "{{config}}", "{{secret}}"]
stop = ["/etc/expunge/boot", "stop", "{{host}}"]
trust = "network"               # virtual_media | network | tenant_os | installed: how it really comes up

[channel]
kind = "ssh"
user = "expunge"

# [notice]                      # tells the customer; without this table no order is made (NOTICES_OPEN)
# command = ["/usr/local/sbin/tell-customer", "{{kind}}", "{{host}}", "{{deprovision}}"]
# waiver = "why nobody is told"  # in the place of command: then each notice is recorded as waived by policy

# [alarm]                       # calls a person for each new alarm; without it: the log and expunge status
# command = ["/usr/local/sbin/page", "{{kind}}", "{{about}}", "{{sentence}}"]

# [webhook]
# listen = "127.0.0.1:8443"
# secret_file = "webhook.secret"

# [anchor]                      # on another disk than this folder; no snapshot or backup in common
# path = "/mnt/other-disk/expunge-anchor.json"
"""


def configuration_template(*, domain: str) -> bytes:
    """The file as bytes. `parse_configuration` reads it."""
    return _TEMPLATE.format(domain=domain).encode()
