"""Whether the controller that a drive is driven through lists every namespace that the drive can hold.

Rules: what is listed is erased, so a namespace that is reached another way only would be left as it is; a
namespace that another controller of the drive lists, or of which the kernel shows a block device, has to
stand on the list as well; a controller that does not answer may list anything; where a drive may have
controllers nobody sees, something else than its lists has to say what it holds: its total capacity or the
list of what is allocated.
"""

from __future__ import annotations

from collections.abc import Collection

from agent.devices.nvme import IdentifyController, NvmeDrive
from agent.errors import Code, DeviceError
from certificate.errors import Malformed


def refusal(drive: NvmeDrive, controller: IdentifyController, attached: Collection[int]) -> Code | None:
    """NAMESPACES_UNACCOUNTED where not all can be told from what `controller` lists as `attached`."""
    try:
        elsewhere = {nsid for listed in drive.active_namespaces_elsewhere() for nsid in listed}
    except (DeviceError, Malformed, OSError):
        return Code.NAMESPACES_UNACCOUNTED
    if not (elsewhere | drive.shown) <= set(attached) or _may_hide(controller):
        return Code.NAMESPACES_UNACCOUNTED
    return None


def _may_hide(controller: IdentifyController) -> bool:
    has_word_of_its_own = controller.total_capacity_bytes or controller.has_namespace_management
    return controller.may_be_one_of_several and not has_word_of_its_own
