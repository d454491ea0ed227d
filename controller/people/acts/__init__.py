"""One module a kind of decision: what people are shown, how many must sign, and what then happens."""

from certificate.statements.people import DecisionKind
from controller.people.act import Act
from controller.people.acts.destroy_medium import DestroyMedium
from controller.people.acts.disposition import Declare
from controller.people.acts.drives import AcceptDrives
from controller.people.acts.enrol import Enrol
from controller.people.acts.exit import Leave
from controller.people.acts.freeze import Freeze
from controller.people.acts.hold import Hold
from controller.people.acts.import_hosts import ImportHosts
from controller.people.acts.release_hold import ReleaseHold
from controller.people.acts.remove import RemoveDrive
from controller.people.acts.revoke import Revoke
from controller.people.acts.thaw import Thaw
from controller.people.acts.validate import Validate
from controller.people.acts.waive_notice import WaiveNotice
from controller.people.acts.wipe import Wipe

#: One line an act.
ACTS: dict[DecisionKind, Act] = {
    DecisionKind.ENROL: Enrol(),
    DecisionKind.REVOKE: Revoke(),
    DecisionKind.DISPOSITION: Declare(),
    DecisionKind.HOLD: Hold(),
    DecisionKind.RELEASE_HOLD: ReleaseHold(),
    DecisionKind.FREEZE: Freeze(),
    DecisionKind.THAW: Thaw(),
    DecisionKind.DRIVES: AcceptDrives(),
    DecisionKind.REMOVE: RemoveDrive(),
    DecisionKind.DESTROY: DestroyMedium(),
    DecisionKind.IMPORT: ImportHosts(),
    DecisionKind.WIPE: Wipe(),
    DecisionKind.EXIT: Leave(),
    DecisionKind.VALIDATE: Validate(),
    DecisionKind.WAIVE_NOTICE: WaiveNotice(),
}

__all__ = ["ACTS"]
