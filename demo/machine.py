"""A rented server: drives, a tenant's service, and a management controller that can boot the erase
environment.

    python -m demo.machine serve --folder DIR --tenant-port P --ssh-port P --trust-root FILE
    python -m demo.machine boot --folder DIR --config FILE --secret FILE
    python -m demo.machine off  --folder DIR

DIR holds `drives/` (simulated drives), `facts.json` (what identifies the machine) and `bmc.sock` (its
management controller). `boot` is what virtual media do: the tenant's system ends, and the erase environment
comes up with the configuration and the secret: `expunge-agent boot`, then an SSH server that lets in the
controller's key only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
SECONDS = 30.0


class Machine:
    """One server: power state, what runs on it, and the processes that belong to it."""

    def __init__(self, *, folder: Path, tenant_port: int, ssh_port: int, trust_root: Path) -> None:
        self.folder = folder
        self.power = "tenant"
        self._tenant_port = tenant_port
        self._ssh_port = ssh_port
        self._trust_root = trust_root
        self._tenant: socket.socket | None = socket.create_server((LOOPBACK, tenant_port))
        self._ssh: subprocess.Popen[bytes] | None = None
        threading.Thread(target=self._serve_tenant, args=(self._tenant,), daemon=True).start()

    def boot(self, *, config: Path, secret: Path) -> None:
        """Ends what runs and brings up the erase environment. The run directory plays the part of RAM."""
        self.off()
        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        subprocess.run(
            [
                *(sys.executable, "-m", "agent.cli", "boot"),
                *("--run-dir", str(run), "--config", str(config), "--secret-file", str(secret)),
                *("--trust-root", str(self._trust_root)),
                *(
                    "--only-images",
                    str(self.folder / "drives"),
                    "--host-facts",
                    str(self.folder / "facts.json"),
                ),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=SECONDS,
        )
        ready = self.folder / "ssh-port"
        ready.unlink(missing_ok=True)
        self._ssh = subprocess.Popen(
            [
                *(sys.executable, "-m", "demo.ssh_server", "--run-dir", str(run)),
                *("--port", str(self._ssh_port), "--port-file", str(ready)),
            ],
            stdout=subprocess.DEVNULL,
        )
        self._await_ssh()
        self.power = "erase environment"

    def off(self) -> None:
        if self._tenant is not None:
            with contextlib.suppress(OSError):
                self._tenant.shutdown(socket.SHUT_RDWR)
            self._tenant.close()
            self._tenant = None
        if self._ssh is not None:
            self._ssh.terminate()
            self._ssh.wait(timeout=SECONDS)
            self._ssh = None
        self.power = "off"

    def _await_ssh(self) -> None:
        """Until the SSH server greets, so that `boot` ends when the machine is up."""
        assert_alive = self._ssh
        for _ in range(600):
            if assert_alive is None or assert_alive.poll() is not None:
                raise RuntimeError("the SSH server of the erase environment ended")
            with (
                contextlib.suppress(OSError),
                socket.create_connection((LOOPBACK, self._ssh_port), timeout=1) as ssh,
            ):
                if ssh.recv(4) == b"SSH-":
                    return
            threading.Event().wait(0.05)
        raise RuntimeError("the SSH server of the erase environment did not come up")

    def _serve_tenant(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection:
                connection.sendall(b"the tenant's service\n")


def serve(machine: Machine) -> None:
    """The management controller: one JSON line in, one out, until it is ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    path = machine.folder / "bmc.sock"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as at_end:
        at_end.callback(machine.off)
        listener.bind(str(path))
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError), connection, connection.makefile("rwb") as stream:
                stream.write(json.dumps(_answer(machine, stream.readline())).encode() + b"\n")


def _answer(machine: Machine, line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        match request["verb"]:
            case "boot":
                machine.boot(config=Path(request["config"]), secret=Path(request["secret"]))
            case "off":
                machine.off()
            case "status":
                pass
            case _:
                return {"error": "unknown verb"}
    except (ValueError, KeyError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        return {"error": str(error)}
    return {"power": machine.power}


def tell(folder: Path, request: dict[str, str]) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2 * SECONDS)
        connection.connect(str(folder / "bmc.sock"))
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(connection.makefile("rb").readline())
    print(json.dumps(answer))
    return 1 if "error" in answer else 0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="demo.machine", description="A rented server and its management controller."
    )
    parser.add_argument("verb", choices=["serve", "boot", "off"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--tenant-port", type=int)
    parser.add_argument("--ssh-port", type=int)
    parser.add_argument("--trust-root", type=Path)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--secret", type=Path)
    arguments = parser.parse_args(argv)
    match arguments.verb:
        case "serve":
            machine = Machine(
                folder=arguments.folder,
                tenant_port=arguments.tenant_port,
                ssh_port=arguments.ssh_port,
                trust_root=arguments.trust_root,
            )
            serve(machine)
            return 0
        case "boot":
            return tell(
                arguments.folder,
                {"verb": "boot", "config": str(arguments.config), "secret": str(arguments.secret)},
            )
        case _:
            return tell(arguments.folder, {"verb": "off"})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
