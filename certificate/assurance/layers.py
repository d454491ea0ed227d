"""Rule 9: each that the order names has its entry, and none is found afterwards.

A layer whose keys were destroyed never makes a medium erased: a copy of its header may exist anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from certificate.assurance.case import Case
from certificate.reasons import Reason
from certificate.statements.evidence import Layer
from certificate.statements.plan import PlannedLayer
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import LayerKind, Technique


def reasons(case: Case) -> Iterator[Reason]:
    """What lowers the claim by what was found of layers, or was not looked for."""
    named, seen = _places(case.planned.layers), _places(case.entry.layers)
    if named != seen or any(count > 1 for count in seen.values()):
        yield Reason.LAYERS_DIFFER
    for layer in case.entry.layers:
        yield from _of_one(layer)
    if not case.entry.commands and case.technique is Technique.LUKS:
        yield Reason.LAYER_ALONE


def _places(layers: Iterable[Layer] | Iterable[PlannedLayer]) -> Counter[tuple[LayerKind, int, int]]:
    return Counter((layer.kind, layer.nsid, layer.offset_bytes) for layer in layers)


def _of_one(layer: Layer) -> Iterator[Reason]:
    if layer.is_found_after is Seen.YES:
        yield Reason.LAYER_FOUND_AFTER
    if layer.is_found_after is Seen.NOT_OBSERVED:
        yield Reason.LAYER_NOT_LOOKED_FOR
    if layer.known_key_refused is Seen.NO:
        yield Reason.LAYER_KEY_OPENS
    needed = (layer.start_acknowledged, layer.every_copy_differs, layer.was_flushed)
    if any(fact is not Seen.YES for fact in needed):
        yield Reason.LAYER_NOT_DESTROYED
