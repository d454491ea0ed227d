"""Acts on the world, one module an act, outside transactions.

The promise of every module: `perform(program, case)` (for what leaves for good also its `lease`) may be
repeated; that it was begun is on record before its first byte; returning from it proves nothing, the question
asked after it does. The one act that is never repeated is `dispatch_order`: it comes with the move to
`erasing` and with nothing else.
"""
