"""Finds the drives of one machine, destroys what an order names, verifies it, and says what it saw.

Knows `certificate` and nothing else of this project. Everything irreversible passes `admission` and waits for
an acknowledgement; devices act, techniques ask, `execute` holds the sequence, and no module here judges a
result.
"""
