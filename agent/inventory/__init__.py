"""Everything on this host that stores data, what it can do, and what it says of itself.

Promise: whatever stores data is listed, with what stands on it; what cannot be erased as it is, is listed
with its code and never left out, because a drive nobody saw is data nobody destroyed; a place nobody looked
at is `not_covered`. Started on images only, nothing outside that folder is opened, and no block device ever.
Selection and admission are elsewhere.
"""

from agent.inventory.places import residue
from agent.inventory.reports import report, take
from agent.inventory.storage import RefusedStorage, Storage, open_drives, teardown

__all__ = ["RefusedStorage", "Storage", "open_drives", "report", "residue", "take", "teardown"]
