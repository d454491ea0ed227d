"""One target for a time: inputs in, what came of each counted, what went wrong kept.

Rules: a crash is an exception that is no refusal, a promise not kept (`targets.Broken`), or more processor
time than `MAX_SECONDS`; each is kept once by its kind and place, with the input in a file; the campaign goes
on. The inputs come from one random source, so that a seed and a number of runs give the same inputs again. An
input that is answered in a way not seen before becomes a start for others.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.mutation import Mutation
from tests.fuzz.targets import Target

#: Of processor time, for one input of at most `mutation.MAX_BYTES`: a hundred times an honest one.
MAX_SECONDS = 5.0
#: How many starts are kept; the corpus' own stay.
MAX_STARTS = 4000
#: How often the seals are made again, where a target has some.
REPAIRED = 0.6


@dataclass(frozen=True, kw_only=True)
class Crash:
    """One thing that must not happen. `file`: the input that shows it."""

    what: str
    where: str
    file: str


@dataclass(kw_only=True)
class Report:
    """What one campaign did."""

    target: str
    engine: str
    seed: int
    runs: int = 0
    seconds: float = 0.0
    slowest_seconds: float = 0.0
    #: How often each code was answered; TAKEN where nothing was refused.
    codes: dict[str, int] = field(default_factory=dict)
    crashes: list[Crash] = field(default_factory=list)

    def write(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Report:
        fields = json.loads(text)
        crashes = [Crash(**each) for each in fields.pop("crashes")]
        return cls(**fields, crashes=crashes)


@dataclass(kw_only=True)
class Campaign:
    """One target, and all that was found in it."""

    target: Target
    seed: int
    crashes_folder: Path
    engine: str = "mutation"
    report: Report = field(init=False)
    _begun: float = field(default_factory=time.monotonic)
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _kept: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.report = Report(target=self.target.name, engine=self.engine, seed=self.seed)

    def try_one(self, data: bytes) -> bool:
        """Whether `data` was answered in a way not seen before."""
        begun = time.process_time()
        answers: list[tuple[str, str]] = []
        try:
            answers.extend(self.target.run(data))
        except Exception as error:
            self._keep(f"{type(error).__name__}: {error}"[:200], _place(error), data)
        took = time.process_time() - begun
        if took > MAX_SECONDS:
            self._keep(f"{took:.1f} s for {len(data)} bytes", "time", data)
        self.report.runs += 1
        self.report.seconds = time.monotonic() - self._begun
        self.report.slowest_seconds = max(self.report.slowest_seconds, took)
        for code, _ in answers:
            self.report.codes[code] = self.report.codes.get(code, 0) + 1
        fresh = {(code, _shape(reason)) for code, reason in answers} - self._seen
        self._seen |= fresh
        return bool(fresh)

    def _keep(self, what: str, where: str, data: bytes) -> None:
        kind = (what.partition(":")[0] if where != "time" else "time", where)
        if kind in self._kept:
            return
        self._kept.add(kind)
        self.crashes_folder.mkdir(parents=True, exist_ok=True)
        path = self.crashes_folder / f"{self.target.name}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
        path.write_bytes(data)
        self.report.crashes.append(Crash(what=what, where=where, file=str(path)))

    # --- our own engine -------------------------------------------------------------------------------------

    def run(self, *, seconds: float, runs: int | None = None) -> Report:
        """Until the time is over, or `runs` inputs were tried."""
        random = Random(f"{self.target.name} {self.seed}")
        starts = list(self.target.seeds)
        for data in starts:
            self.try_one(data)
        mutate = mutator(self.target, random)
        fixed = len(starts)
        while self.report.seconds < seconds and (runs is None or self.report.runs < runs):
            data = mutate(random.choice(starts))
            if self.try_one(data):
                starts.append(data)
                if len(starts) > MAX_STARTS:
                    del starts[random.randrange(fixed, len(starts))]
        return self.report


def mutator(target: Target, random: Random) -> Callable[[bytes], bytes]:
    """The next input from one: mutated, and at times with its seals made again."""
    mutation = Mutation(random=random, seeds=target.seeds)

    def mutate(data: bytes) -> bytes:
        changed = mutation(data)
        if target.repair is not None and random.random() < REPAIRED:
            return target.repair(changed)
        return changed

    return mutate


def _shape(reason: str) -> str:
    """A reason without what is of this case alone."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|[0-9a-f]{6,}|[A-Za-z0-9+/]{40,}|\d+", "#", reason)[:120]


def _place(error: Exception) -> str:
    """The innermost line of ours."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/tests/" not in frame.filename]
    ours = [frame for frame in frames if re.search(r"/(certificate|agent|controller)/", frame.filename)]
    if not (chosen := ours or frames):
        return type(error).__name__
    last = chosen[-1]
    return f"{'/'.join(Path(last.filename).parts[-3:])}:{last.lineno} {last.name}"
