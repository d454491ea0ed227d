"""The signed documents of an erasure, the log they stand in, and how anyone checks them.

This package knows neither `agent` nor `controller`: bytes come in, a verdict or a refusal goes out. It does
no I/O besides `cli.py`, and needs no clock: whoever calls hands in the instant.
"""
