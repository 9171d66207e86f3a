"""Where a run keeps what: the layout of its folder, and the card by which a resume knows it.

Called by the driver, the batch source and `azr export`; nothing else builds these paths.

    runs/<name>/
        config.yaml        what was asked for, resolved        journal/{experience,tasks}-K/   acknowledged work
        run.json           the card: lineage, tracking ids     checkpoints/step_N/             tensors and state
        metrics.jsonl      one line a learner step             logs/                           of driver and parts
        tasks.jsonl        accepted tasks, as trained on       flagged.jsonl, report.html
        run.lock           held by the driver at work          config-N.yaml, of start N, if later ones differ
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import msgspec

from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.files import make_folder, write_bytes
from azr.sole_writer import sole_writer


class Card(msgspec.Struct, kw_only=True):
    """What a run's folder says of itself; rewritten whole at each change."""

    name: str
    started: float
    """Seconds since 1970."""
    starts: int = 1
    """How often a driver began or resumed it."""
    mlflow: str = ""
    """MLflow's id of the run."""
    elapsed_seconds: float = 0.0
    """Of training, noted every few seconds."""
    ended: str = ""
    """How the last driver left: `finished`, `stopped`, `failed: …`; empty while one runs or after a crash."""
    not_evaluated: str = ""
    """Why its evaluation after training could not be made; empty where it was, or none was asked for."""


class RunFolder:
    """The folder of one run."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @classmethod
    def of(cls, folder: str, name: str) -> RunFolder:
        """The folder of the run of this name."""
        return cls(Path(folder) / name)

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.root / "config.yaml"

    def config_of(self, start: int) -> Path:
        """The configuration of an earlier driver, where the next one's differs."""
        return self.root / f"config-{start}.yaml"

    @property
    def card_path(self) -> Path:
        """The card."""
        return self.root / "run.json"

    @property
    def metrics(self) -> Path:
        """One JSON line a step."""
        return self.root / "metrics.jsonl"

    @property
    def logs(self) -> Path:
        """What processes said."""
        return self.root / "logs"

    @property
    def journals(self) -> Path:
        """Of the services' shards."""
        return self.root / "journal"

    @property
    def checkpoints(self) -> Path:
        """One folder a checkpoint."""
        return self.root / "checkpoints"

    @property
    def tasks(self) -> Path:
        """Accepted tasks that were trained on, with what their attempts said."""
        return self.root / "tasks.jsonl"

    @property
    def seeds(self) -> Path:
        """The tasks that the run began with."""
        return self.root / "seeds.jsonl"

    @property
    def evaluations(self) -> Path:
        """Held-out results, one JSON line an evaluation."""
        return self.root / "evaluations.jsonl"

    @property
    def flagged(self) -> Path:
        """Responses that the safety watch kept."""
        return self.root / "flagged.jsonl"

    @property
    def report(self) -> Path:
        """The run as one page."""
        return self.root / "report.html"

    @property
    def exists(self) -> bool:
        """Whether a run lives here."""
        return self.card_path.exists()

    def create(self, card: Card) -> None:
        """Make the folder of a new run, or fill one that holds no card; one that is there already is refused."""
        if self.exists:
            raise AzrError(
                f"{self.root} holds a run already",
                f"continue it with azr train --resume {quote(str(self.root))}, or choose another run.name",
            )
        for folder in (self.root, self.logs, self.journals, self.checkpoints):
            make_folder(folder)
        self.write(card)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Be the run's only driver within the block; while another is at work this is refused, and nothing is touched.

        The system lets go of it when the driver ends, however it ends.
        """
        self.card()
        with sole_writer(
            self.root, "let it end, or stop it with Ctrl-C or SIGTERM (it writes a checkpoint), then resume"
        ):
            yield

    def card(self) -> Card:
        """The card; a folder without one is no run."""
        try:
            return msgspec.json.decode(self.card_path.read_bytes(), type=Card)
        except FileNotFoundError:
            raise AzrError(f"{self.root} holds no run", "name the folder of one, e.g. runs/default") from None
        except UNDECODABLE as error:
            raise AzrError(
                f"{self.card_path} cannot be read: {error}", "restore it from a checkpoint, which holds a copy"
            ) from error

    def write(self, card: Card) -> None:
        """Put the card in place of the one before, as one act."""
        write_bytes(self.card_path, msgspec.json.format(msgspec.json.encode(card)) + b"\n")
