"""Devices: one module an interface. The bytes of a command and of its answer, and nothing about policy.

`nvme` builds and reads, `nvme_ioctl` and `emulated` carry, `block` reads and writes logical blocks,
`simulated` is the other side of the wire and shares no code with the modules that speak to it.
"""
