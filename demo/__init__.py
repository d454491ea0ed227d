"""The main job on one machine: real programs as processes on small configurations, without root.

`python -m demo` tells the story (`__main__`). Around the real `expunge serve` and `expunge-agent` stand four
pieces of a provider that a laptop lacks: `billing` (a database with the agreed views), `switch` (tenant ports
that really close), `machine` (a server with a management controller that can be told to boot the erase
environment) and `ssh_server` (what sshd does on a host). They are the other side of the wire and decide
nothing.
"""
