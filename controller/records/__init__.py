"""Hosts as they are on record: what a provider's file may change, what is missing, and what people did.

The promise: nothing here has a default that touches whether a machine may be wiped; a difference between the
record and what a machine showed is told to people and settled by them; nothing is removed from a record
because somebody did not mention it.
"""
