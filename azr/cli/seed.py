"""`azr seed`: the first tasks of a run, made by a model or imported from published files, all through the gate."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, get_args

import msgspec

from azr.cli.config import add_config_arguments, config_of
from azr.cli.lines import Tally
from azr.cli.sandbox_options import add_pool_arguments, limits_of, open_from, statistics_of
from azr.config import Config
from azr.config.sections.gating import GatingConfig
from azr.config.sections.sandbox_rules import LEAST_MEMORY_MB
from azr.decoding import UNDECODABLE
from azr.errors import AzrError, UsageError
from azr.files import require_writable, write_bytes
from azr.game.gate import GateRules
from azr.game.identity import DuplicateBy
from azr.game.plan import Plan, drive_many
from azr.game.published import Imported, PublishedSeed, bring_in
from azr.game.reasons import MEANINGS, refused
from azr.game.seeding import SeedingSettings, SeedingState
from azr.game.types import Refusal, Task

SUMMARY = "Make the first tasks of a run with its model, or bring them in from published files; all through the gate."
EPILOG = """a line of a seed file:
  {"snippet": "def f(a): return sqrt(a)", "input": "9", "output": "3.0", "imports": ["from math import sqrt"]}
  {"snippet": ..., "inputs": [...], "outputs": [...], "message": "...", "imports": [...]}

Every line passes the gate that self-play's own proposals pass: outputs are computed anew; what is not deterministic,
has no literal form, repeats another or gives its program away is refused. The tasks are written as JSON lines, all or
nothing; the report on stderr says how many lines were refused for what, and --refusals lists them one by one. A triplet
is written once, as deduction: a run takes it for abduction as well, and leaves out what is too long for its lengths.

`make` asks the model itself, beginning with the identity function, until there are `seeding.triplets` triplets and
`seeding.inductions` induction tasks, as far as the task types in play need them. A run does the same where no
`seeding.file` is given. What there is so far lies beside the output (FILE.unfinished): once interrupted, the same
command goes on from there.

examples:
  azr seed make tiny --config tiny --output seeds.jsonl
  azr seed import 7b_seed.jsonl --output seeds.jsonl
  azr seed import 7b_seed.jsonl 14b_seed.jsonl --output seeds.jsonl --refusals refused.jsonl --backend process
"""


class RefusedLine(msgspec.Struct):
    """A line of the list of refusals."""

    file: str
    line: int
    reason: str
    detail: str


class _Line(NamedTuple):
    file: Path
    number: int
    text: bytes


class Report:
    """Counts of what became of the lines."""

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.corrected = 0

    def tally(self) -> Tally:
        """How many lines there were, and how many of them were none of a seed file."""
        return Tally(self.accepted.total() + self.refused.total(), self.refused["not_a_seed"])

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.accepted.most_common()) or "none"
        lines = [
            f"accepted   {self.accepted.total()} ({kinds}); {self.corrected} of them with another output than stated",
            f"refused    {self.refused.total()}",
        ]
        lines += [f"  {count:>7}  {reason}: {MEANINGS[reason]}" for reason, count in self.refused.most_common()]
        return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    importing = actions.add_parser("import", help="bring in published seed files")
    importing.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON lines")
    importing.add_argument("--output", type=Path, required=True, metavar="FILE", help="the tasks, as JSON lines")
    importing.add_argument("--refusals", type=Path, metavar="FILE", help="write the refused lines here, with reasons")
    gating = GatingConfig()
    importing.add_argument(
        "--duplicate-by",
        choices=get_args(DuplicateBy),
        default=gating.duplicate_by,
        help=f"what makes two tasks the same (default: {gating.duplicate_by})",
    )
    add_pool_arguments(importing, LEAST_MEMORY_MB)
    importing.set_defaults(act=_import)
    making = actions.add_parser("make", help="let a model make its own seeds")
    making.add_argument("model", metavar="MODEL", help="Hugging Face folder or name; tiny: the embedded one")
    making.add_argument("--output", type=Path, required=True, metavar="FILE", help="the tasks, as JSON lines")
    add_config_arguments(making)
    making.set_defaults(act=_make)


def run(arguments: argparse.Namespace) -> int:
    """Make or import."""
    status: int = arguments.act(arguments)
    return status


def _make(arguments: argparse.Namespace) -> int:
    """Let the model make its seeds."""
    require_writable(arguments.output)
    config = config_of(arguments)
    config.model.path, config.run.name = arguments.model, "seed"
    if not SeedingSettings.of(config).wants_any:
        raise AzrError(
            f"the model makes no seeds of {', '.join(config.algorithm.game.task_types)}",
            "put deduction, abduction or induction in play (algorithm.game.task_types)",
        )
    from azr.run import seeds
    from azr.run.session import session

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    async def make() -> SeedingState:
        async with at_work.engines.client("propose") as client:
            return await seeds.make_seeds(
                config, client, at_work.tokens, at_work.sandbox, tell, path=arguments.output, warn=tell
            )

    with session(config, tell) as at_work:
        tasks = seeds.seed_tasks(asyncio.run(make()), config)
    seeds.write_seeds(arguments.output, tasks)
    print(f"{len(tasks)} tasks -> {arguments.output}", file=sys.stderr)
    return 0


def _import(arguments: argparse.Namespace) -> int:
    """Import the files."""
    if arguments.refusals is not None and arguments.refusals.resolve() == arguments.output.resolve():
        raise UsageError(f"--output and --refusals are both {arguments.output}", "give each a file of its own")
    for path in filter(None, (arguments.output, arguments.refusals)):
        require_writable(path)
    config = Config(gating=GatingConfig(duplicate_by=arguments.duplicate_by))
    rules = msgspec.structs.replace(GateRules.of(config), limits=limits_of(arguments))
    tasks, refusals, report = _JsonLines(), _JsonLines(), Report()
    known: set[tuple[str, str]] = set()
    with open_from(arguments) as sandbox:
        for line, imported in drive_many((_judged(line, rules) for line in _lines(arguments.files)), sandbox):
            outcome = imported.outcome
            if isinstance(outcome, Task) and (outcome.task_type, outcome.fingerprint) in known:
                outcome = refused("duplicate", outcome.fingerprint)
            if isinstance(outcome, Refusal):
                report.refused[outcome.reason] += 1
                refusals.add(RefusedLine(str(line.file), line.number, outcome.reason, outcome.detail))
            else:
                known.add((outcome.task_type, outcome.fingerprint))
                report.accepted[outcome.task_type] += 1
                report.corrected += imported.corrected
                tasks.add(outcome)
        statistics = sandbox.statistics()
    tasks.write(arguments.output)
    if arguments.refusals is not None:
        refusals.write(arguments.refusals)
    print(report, file=sys.stderr)
    if arguments.statistics:
        print(statistics_of(report.tally(), statistics), file=sys.stderr)
    return 0


class _JsonLines:
    """Lines kept until all are known; seed files are a few megabytes."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._encoder = msgspec.json.Encoder()

    def add(self, record: msgspec.Struct) -> None:
        self._encoder.encode_into(record, self._text, -1)
        self._text += b"\n"

    def write(self, path: Path) -> None:
        write_bytes(path, bytes(self._text))


def _lines(files: list[Path]) -> Iterator[_Line]:
    for file in files:
        try:
            with file.open("rb") as lines:
                for number, text in enumerate(lines, start=1):
                    if text.strip():
                        yield _Line(file, number, text)
        except OSError as error:
            raise AzrError(f"cannot read {file}: {error.strerror}", "name files of JSON lines") from error


def _judged(line: _Line, rules: GateRules) -> Plan[tuple[_Line, Imported]]:
    try:
        published = _DECODER.decode(line.text)
    except UNDECODABLE as error:
        return line, Imported(refused("not_a_seed", str(error)))
    return line, (yield from bring_in(published, rules))


_DECODER = msgspec.json.Decoder(PublishedSeed)
