"""The main job from end to end: one billing database, seven hosts, two operators, real processes.

Host 1's subscription ends: held for a while, then quarantined, staged, planned, approved by rule, ordered,
its self-encrypting drive cryptographically erased, verified, validated, certified, released. Host 2's
customer renews during grace: untouched. Host 3 was never let: two operators declare it, one requests its
wipe, the other approves. Host 4's customer renews when the order is signed: withdrawn, given back. Host 5's
data may be cleared: the keys of its LUKS container are destroyed, then the medium is overwritten and read
back. Host 6's drive lies: a signed failure, and no release. One of host 7's drives is dead: two operators
take it out, the other is erased. Then a bad import trips the breaker, and a stranger checks the certificates.

Everything printed was read from a process or a file a moment before; what the demonstration promises and does
not see ends it with exit code 1. An output folder that holds anything but an earlier demonstration is refused
with exit code 2, because it is emptied.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from demo.lab import Failed
from demo.story import POLICY_FILE, Story

#: The shell's number for an end by SIGTERM.
EXIT_TERMINATED = 128 + signal.SIGTERM


def is_taken(out: Path) -> bool:
    """Whether something lies there that an earlier demonstration did not write."""
    return out.exists() and not (out / POLICY_FILE).exists() and (not out.is_dir() or any(out.iterdir()))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="demo", description="The main job from end to end, as real processes."
    )
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="where certificates and ledger go")
    arguments = parser.parse_args(argv)
    if is_taken(arguments.out):
        parser.error(f"{arguments.out} holds something else; name another folder with --out")
    # So that a time limit around the demonstration ends it as an interrupt does, with its processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    story = Story(out=arguments.out)
    try:
        try:
            story.tell()
        finally:
            story.lab.stop()
        if running := story.lab.left_running():
            raise Failed("left running: " + "; ".join(running.values()))
    except Failed as failure:
        story.lab.kill_left_running()
        print(f"\nThe demonstration failed: {failure}\n{story.lab.log_tails()}", file=sys.stderr)
        print(f"Everything it was made of is kept in {story.lab.folder}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, SystemExit):
        story.lab.kill_left_running()
        story.lab.remove()
        raise
    story.lab.remove()
    files = sorted(str(path) for path in arguments.out.rglob("*") if path.is_file())
    print("\n".join(files))
    story.say(
        f"{len(files)} files; processes started: {story.lab.started_count}, left running: {len(running)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
