"""Decides who may be wiped, when and by which channel, and issues the outcomes.

Knows `certificate` and nothing else of this project. `lifecycle.decide` is pure: facts in, at most one move
out; questions are asked in `observe`, acts are done in `effects`, both outside transactions (DESIGN.md, rules
1 to 7).
"""
