"""The run: brings up its parts, lets them work, tells what they do, and takes everything down again.

Owns the order of starting and stopping, and nothing else: each part is a module of its own. Called by `azr train`.

    Ray ─► hub, registry ─► services ─► learner (thread) ┐
                       └──► engines ────────────────────┴─► first weights ─► evaluation ─► seeds ─► players
                                                                                                      │
      evaluation ◄─ engines ◄─ players end ◄─ learner ends ◄─ stop? ◄── rounds: reports, silence ◄────┘

In a joined cluster engines begin when the learner's ranks have their places, and not beside the services.

Who waits: this process, at each stage for the part named there, `cluster.start_seconds` at most, or
`cluster.work_seconds` for an evaluation and for seeds, for which engines must go on to serve; in the rounds for nobody:
parts are asked in threads (`Poll`), and whoever stays silent too long ends the run by name.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from actors.players import start as players
from actors.players.tokens import Tokens, load_tokens
from actors.services import start as services
from azr.config import resolved_yaml, write_resolved
from azr.config.root import Config
from azr.errors import AzrError
from azr.run import evaluation
from azr.run.card import KeptCard, keep_replaced, without_place, write_report
from azr.run.console import Console, Start
from azr.run.engines import Engines, open_engines, weights_folder
from azr.run.folder import RunFolder
from azr.run.gpus import ranks_on_gpus
from azr.run.hub import Drained, HubClient, start_hub
from azr.run.learner_thread import LearnerThread
from azr.run.local_ray import RESUMED, RayLostError, check_ray, ray_of
from azr.run.polling import Poll
from azr.run.publishing import make_publish
from azr.run.room import Room
from azr.run.source import RunObserver, RunSource, Setting
from azr.run.stages import START, Stage, Stages
from azr.run.stopping import Stop, StoppedError
from azr.run.summary import Ending
from azr.run.supervision import PartLostError, Patience, Supervision
from azr.run.telling import Standing, Teller
from azr.run.tracking import RunInfo, TrackingBoard
from azr.run.without_players import WithoutPlayers
from azr.text import shortened
from azr.tiny.shipped import at_its_place
from learner import checkpoint
from learner.loop import LearnerPlan

logger = logging.getLogger(__name__)

#: Seconds between rounds of the driver, and between questions to the parts.
ROUND_SECONDS, POLL_SECONDS = 0.25, 2.0
#: How long the last words of a learner that has ended are asked of a hub that does not answer, within the patience that
#: there is for all parts.
LAST_WORDS_SECONDS = 20.0
#: Beyond three polls, how long an actor may not have answered until that is a silence.
SILENT_SECONDS = 5.0
#: Seconds between notes on the card of how long training has lasted: what a kill may take from it.
NOTE_SECONDS = 5.0
#: How long the learner may take to end with a run that fails or is stopped before its time. It hears of it within a
#: second, may be in the middle of a step, and writes what it has.
LEARNER_SECONDS = 20.0
#: How long is waited for the report, and for trackers, of a run that is told to end when all else is done.
HURRIED_SECONDS = 1.0
#: Steps of a run that only its time ends.
ENDLESS = 1 << 40


class Driver:
    """One driver's part in a run, from its start or resume to its end."""

    def __init__(self, config: Config, folder: RunFolder, console: Console) -> None:
        self.asked = config
        """As it was composed, and as it is kept."""
        self.config = at_its_place(config)
        self.folder, self.console = folder, console
        self.step = 0
        self._stop = Stop(console.say)
        self._stages = Stages(console.say)
        self._supervision = Supervision(
            Patience(config.actors.restart_seconds, "actors.restart_seconds"),
            {
                "engines": Patience(config.rollout.start_seconds, "rollout.start_seconds"),
                "learner": Patience(
                    config.cluster.start_seconds, START, "have nodes with room join the cluster, or raise {key}"
                ),
            },
        )
        self._learner: LearnerThread | None = None
        """Once it is started: whatever is waited for, its failure is heard."""
        self._teller: Teller | None = None
        """Once there are steps: those of a learner that is waited for at the end are told as well."""
        self._published = -1
        """Step of the newest weights that engines were given, as far as was heard."""
        self._card = KeptCard(folder)
        self._noted_at = 0.0
        self._room = Room(folder.root, config.checkpoint.free_gb)
        self._failure = ""
        """Why the learner said that the run cannot go on, once that was told."""
        self._hurried = False
        """Something went wrong, or somebody insists: take everything down without waiting for it to finish."""
        self._rayless = False
        """Ray is dead: there is nobody whom anything could be told."""

    def run(self) -> Ending:
        """Carry the run to its end; whatever happens, everything is taken down."""
        status, reason = "failed", "an error"
        first: BaseException | None = None
        over = False
        tracking = TrackingBoard.of(self.config.tracking, self.folder, self.console.say, self._card.keep_mlflow_id)
        tracking.start(self._info())
        if older := keep_replaced(self.folder, self.asked, self._card.latest.starts - 1):
            tracking.artifact(older)
        tracking.artifact(write_resolved(self.asked, self.folder.root))
        with self._stop.listening():
            try:
                with contextlib.ExitStack() as stack:
                    try:
                        reason = self._play(stack, tracking)
                    except BaseException as error:
                        first = error
                        self._hurried, self._rayless = True, isinstance(error, RayLostError)
                        self._end_early(error, tracking)
                        raise
                    status, over = "stopped" if self._stop.by_signal else "finished", True
                self._stop.taken_down()
            except BaseException as error:
                # What goes wrong while everything is taken down changes nothing of how the run ended, an insisting
                # Ctrl-C included: whoever presses it has to hear why the run failed.
                self._stop.taken_down()
                first = first or error
                if not over:
                    status, reason = self._ending_of(first)
                if (over or first is not error) and isinstance(error, Exception):
                    self.console.say(f"not all was taken down: {shortened(str(error) or type(error).__name__, 200)}")
                if status == "failed":
                    raise first  # noqa: B904 - its cause is its own, or none
            finally:
                self._write_down(status, reason, tracking)
        return Ending(status, reason, self.step, self._card.latest.elapsed_seconds)

    def _info(self) -> RunInfo:
        card = self._card.latest
        return RunInfo(
            name=self.config.run.name,
            folder=str(self.folder.root),
            parameters=without_place(resolved_yaml(self.asked)),
            resumed_id=card.mlflow,
            starts=card.starts,
        )

    def _write_down(self, status: str, reason: str, tracking: TrackingBoard) -> None:
        """What is left when everything is taken down: the card, the report, and what trackers have not heard yet."""
        self.console.end()
        self._card.end(status, reason, self.seconds)
        tracking.over(status)  # first: files may take longer than there is time
        self._unless_hurried("the report", partial(write_report, self.folder, self.console.say))
        kept = (  # the largest last: what it has no time for is itself alone
            self.folder.card_path,
            self.folder.evaluations,
            self.folder.report,
            self.folder.seeds,
            self.folder.flagged,
            self.folder.tasks,
        )
        for path in kept:
            tracking.artifact(path)
        self._unless_hurried("trackers", partial(tracking.finish, status))

    def _unless_hurried(self, waits_for: str, act: Callable[[], None]) -> None:
        """Wait for it in a thread of its own: a signal interrupts it nowhere in its middle, but the wait."""
        acting = threading.Thread(target=act, name="azr-write-down", daemon=True)
        acting.start()
        while acting.is_alive() and not self._stop.hurried:
            acting.join(ROUND_SECONDS)
        acting.join(HURRIED_SECONDS)
        if acting.is_alive():
            self.console.say(f"not waited for: {waits_for}")

    @property
    def _patience(self) -> float:
        """Seconds that a part may take to finish what it does."""
        return 1.0 if self._hurried or self._stop.insisted else self.config.cluster.stop_seconds

    def _ending_of(self, error: BaseException) -> tuple[str, str]:
        """How the run ends by this error, and why."""
        if isinstance(error, StoppedError):
            begun = self.console.seconds > 0.0
            return "stopped", f"{error}, before {'its evaluation was over' if begun else 'training began'}"
        if isinstance(error, KeyboardInterrupt):
            return "stopped", "told twice to leave at once"
        mend = f"; mend: {error.mend}" if isinstance(error, AzrError) and error.mend else ""
        return "failed", shortened(f"{error.what if isinstance(error, AzrError) else error}{mend}", 500)

    def _end_early(self, error: BaseException, tracking: TrackingBoard) -> None:
        """Say and note how the run ends before anything is taken down: whatever happens then, Ray ending this process
        included, no word would be left of it. Trackers hear of it while a learner that is at work is waited for."""
        status, reason = self._ending_of(error)
        if status == "failed":
            self.console.say(f"the run fails, taking everything down: {reason}")
        self._card.end(status, reason, self.seconds)
        tracking.over(status)
        if isinstance(error, PartLostError):
            # A learner without places ends at no wish, and Ray may end this process with it.
            self._unless_hurried("the report", partial(write_report, self.folder, self.console.say))

    def _end_learner(self, hub: HubClient, learner: LearnerThread) -> None:
        """Have the learner end with what it has. A thread that still asks Ray when it is left has Ray end the whole
        process on the spot, without a word and with another exit status."""
        learner.abandon()
        deadline = time.monotonic() + (1.0 if self._stop.insisted else LEARNER_SECONDS)
        while learner.running and not self._rayless and time.monotonic() < deadline:
            late = hub.drain(self._stop.reason or "the run failed", timeout=1.0)
            if late is not None:
                for line in late.news:
                    self.console.say(line)
                if late.failure and late.failure != self._failure:  # which is told in every answer
                    self.console.say(late.failure)
                    self._failure = late.failure
                if self._teller is not None:
                    with contextlib.suppress(Exception):  # the run has ended, whatever is wrong with these
                        self._teller.tell(late.steps, late.loose)
            learner.wait(ROUND_SECONDS)

    def _end_part(self, stop: Callable[[float], None]) -> None:
        """Have a part end, with the patience there is by then, unless nobody can be told anything."""
        if not self._rayless:
            stop(self._patience)

    @property
    def seconds(self) -> float:
        """Of training, earlier drivers' included."""
        return self._card.before + self.console.seconds

    # ── the order of things ─────────────────────────────────────────────────────────────────────────────────────────

    def _play(self, stack: contextlib.ExitStack, tracking: TrackingBoard) -> str:
        """Everything between Ray's start and its end; returns why the run ended."""
        config, wait = self.config, self.config.cluster.start_seconds
        tokens = load_tokens(config.model)  # before engines wait in vain for a model that is not there
        with self._stages.stage("cluster", "Ray", wait):
            stack.enter_context(ray_of(config, self.folder.logs, [weights_folder(config)], RESUMED))
            self._stop.listen_again()
        hub = start_hub(f"azr-{config.run.name}-hub")
        engines = open_engines(config, ranks=config.learner.ranks)
        stack.callback(self._end_part, engines.stop)
        ranks_first = bool(config.cluster.address)  # of nodes on which either could be; on one machine nobody waits
        if not ranks_first:
            engines.deploy()
        with self._stages.stage("services", "task and experience services to read their journals", wait) as stage:
            hosted = services.start(config, self.folder.root, remaining=partial(self._remaining, stage), now=stage.now)
        stack.callback(self._end_part, partial(services.stop, hosted))
        setting = Setting(config, self.folder.checkpoints, hosted.experience, hosted.tasks, hub)
        self._learner = learner = LearnerThread(self._plan(setting, engines), config.cluster, self.console.say)
        learner.start()
        stack.callback(self._end_learner, hub, learner)
        if ranks_first:
            with self._stages.stage("places", "Ray to set aside what the learner's ranks ask for", wait) as stage:
                self._until_placed(learner, engines, stage)
            engines.deploy()
        with self._stages.stage("engines", f"{engines.wanted} to load {self.asked.model.path}", wait) as stage:
            engines.ready(partial(self._remaining, stage), stage.now)
        with self._stages.stage("learner", "its first weights to reach the engines", wait) as stage:
            self.step = self._until_published(hub, engines, stage)
        tracking.catch_up(self.step)
        asking = self._without_players(engines, tokens, tracking)
        baseline = config.evaluation.before and evaluation.baseline_missing(self.folder.evaluations, self.step)
        if baseline and not self._stop.check():
            asking.evaluate_first()
        # A driver that was killed while it seeded may have reached some of the shards: who holds a seed passes it over.
        unseeded = hosted.tasks.count() == 0 or (self.step == 0 and self.folder.seeds.exists())
        if unseeded and not self._stop.check():
            asking.seed(hosted.tasks)
        with self._stages.stage("players", "proposers and solvers to open their sandboxes", wait) as stage:
            playing = players.start(
                config,
                hosted,
                engines.for_players(),
                self.folder.root,
                held_out=evaluation.held_out(config.evaluation),
                remaining=partial(self._remaining, stage),
                now=stage.now,
            )
        stack.callback(self._end_players, playing)
        self._train(hub, engines, hosted, playing, learner, tracking)
        if config.evaluation.after and not self._stop.by_signal:
            self._end_players(playing)
            self._card.note_unevaluated(asking.evaluate_last(self.step))
        return self._stop.reason or "its steps are done"

    def _without_players(self, engines: Engines, tokens: Tokens, tracking: TrackingBoard) -> WithoutPlayers:
        return WithoutPlayers(
            self.config,
            self.folder,
            self._stages,
            self.console.say,
            engines=engines,
            tokens=tokens,
            tracking=tracking,
            watch=partial(self._served, engines),
        )

    def _remaining(self, stage: Stage) -> float:
        """Seconds that may still be waited for a stage, unless the run is told to end, or Ray or the learner failed."""
        self._stop.leave_if_signalled()
        check_ray()
        if self._learner:
            self._learner.check()
        return stage.remaining()

    def _plan(self, setting: Setting, engines: Engines) -> LearnerPlan:
        config, publishing = self.config, engines.publishing()
        return LearnerPlan(
            model=config.model.path,
            loss=config.algorithm.loss,
            optimiser=config.algorithm.optimiser,
            learner=config.learner,
            folder=self.folder.root,
            steps=config.run.steps or ENDLESS,
            make_source=partial(RunSource, setting),
            make_observer=partial(RunObserver, setting.hub),
            make_publish=partial(make_publish, setting, publishing),
            publish_dtype=publishing.dtype,
            publish_every=config.weights.publish_every,
            publish_seconds=config.weights.publish_seconds,
            temperature=config.algorithm.sampling.temperature,
            caches_kept=config.weights.kv_on_update == "keep",
            seed=config.run.seed,
            gpu=ranks_on_gpus(config, gpu=engines.gpu),
        )

    def _until_placed(self, learner: LearnerThread, engines: Engines, stage: Stage) -> None:
        """Wait until ranks have their places. Serve spreads engines over all nodes: had they come first, ranks that
        are to be on one node (`cluster.placement`) might find no node with enough left."""
        waits_for = stage.waits_for
        while not learner.placed:
            stage.now(waits_for + engines.room())
            self._remaining(stage)
            time.sleep(ROUND_SECONDS)

    def _until_published(self, hub: HubClient, engines: Engines, stage: Stage) -> int:
        """Wait for the first weights; the step that they are of. Ranks may be waiting for room in the cluster."""
        waits_for = stage.waits_for
        while True:
            drained = hub.drain(self._stop.check(), timeout=min(10.0, self._remaining(stage)))
            if drained is not None:
                for line in drained.news:
                    self.console.say(line)
                self._fail_as_told(drained)
                if drained.published >= 0:
                    return drained.published
            stage.now(waits_for + engines.room())
            self._remaining(stage)
            time.sleep(ROUND_SECONDS)

    # ── the rounds ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _train(
        self,
        hub: HubClient,
        engines: Engines,
        hosted: services.Services,
        playing: dict[str, Any],
        learner: LearnerThread,
        tracking: TrackingBoard,
    ) -> None:
        """Let everybody work until the learner ends."""
        self.console.begin(Start(self.step, self._card.before))
        if self.config.run.minutes:
            self._stop.after(max(1.0, 60.0 * self.config.run.minutes - self._card.before))
        standing = Standing(
            hosted.experience.statistics, hosted.tasks.statistics, engines.statistics, seconds=POLL_SECONDS
        )
        teller = Teller(self.config, self.folder, self.console, tracking, standing, elapsed=lambda: self.seconds)
        self._teller = teller
        reports = Poll("players", players.Reports(playing), seconds=POLL_SECONDS, heard=teller.hear)
        places = Poll("learner", lambda: learner.require_places(engines.room), seconds=POLL_SECONDS)
        polls: list[Poll[Any]] = [standing.books, standing.stocks, standing.engines, places, reports]
        silent_since: dict[str, float] = {}
        with _running(polls):
            while learner.running:
                round_began = time.monotonic()
                check_ray()
                self._listen(hub, teller)
                for line in engines.follow(teller.fresh()):
                    self.console.say(line)
                self._watch(polls, playing, silent_since)
                if told := teller.waiting(round_began):
                    self.console.say(told)
                self._note(round_began)
                learner.wait(max(0.0, ROUND_SECONDS - (time.monotonic() - round_began)))
            self._hear_out(hub, teller)
        learner.check()
        self._stand_at_last()
        self.console.end()

    def _note(self, now: float) -> None:
        """Say how the disk is; keep how long training has lasted, for a resume after a kill."""
        if now - self._noted_at < NOTE_SECONDS:
            return
        self._noted_at = now
        if told := self._room.news():
            self.console.say(told)
        self._card.note_time(self.seconds)

    def _hear_out(self, hub: HubClient, teller: Teller) -> None:
        """The last that the learner told, its last steps or its failure: a hub that is busy is asked again for a while,
        and one that died meanwhile knows nothing of it any more."""
        ends = time.monotonic() + min(LAST_WORDS_SECONDS, self._patience)
        while True:
            check_ray()
            if self._listen(hub, teller) or time.monotonic() >= ends:
                return
            time.sleep(ROUND_SECONDS)

    def _listen(self, hub: HubClient, teller: Teller) -> bool:
        """Hear what the learner told since the last round; whether the hub answered."""
        drained = hub.drain(self._stop.check(), playing=True)
        if drained is None:
            return False
        for line in drained.news:
            self.console.say(line)
        if drained.steps:
            self.step = drained.steps[-1].step
        self._published = drained.published
        teller.tell(drained.steps, drained.loose)
        self._fail_as_told(drained)
        return True

    def _fail_as_told(self, drained: Drained) -> None:
        """Raise what the run cannot go on for."""
        if drained.failure:
            self._failure = drained.failure
            raise AzrError(drained.failure, drained.mend)

    def _stand_at_last(self) -> None:
        """Ranks that died went back to a checkpoint, and may have ended there: behind the newest step that was told.
        The learner's end leaves a checkpoint of its last step, and the engines with its weights."""
        newest = checkpoint.newest(self.folder.checkpoints)
        kept = checkpoint.read_state(newest).step if newest else 0
        if kept < self.step and 0 <= self._published < self.step:
            self.console.say(f"steps {kept + 1} to {self.step} were undone: the run ends with weights of step {kept}")
            self.step = kept

    def _watch(self, polls: list[Poll[Any]], playing: dict[str, Any], last_seen: dict[str, float]) -> None:
        """Who is silent, for how long, and who is back?"""
        now = time.monotonic()
        for poll in polls:
            for name in (poll.latest or {}) if poll.name == "players" else [poll.name]:
                last_seen[name] = poll.at
        asked = [poll.name for poll in polls if poll.name != "players"] + list(playing)
        patience = 3 * POLL_SECONDS + SILENT_SECONDS
        answered = [name for name in asked if now - last_seen.setdefault(name, now) < patience]
        why = {poll.name: shortened(poll.error, 300) for poll in polls if poll.error}
        for line in self._supervision.news(answered, asked, now, why):
            self.console.say(line)

    # ── between stages ─────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def _served(self, engines: Engines, stage: Stage) -> Iterator[Callable[[], float]]:
        """What a stage that asks the engines looks at meanwhile: `_remaining`, and whether any serve. Requests alone
        would wait for one that never comes back until the stage's time is over, and say nothing of why."""
        poll = Poll("engines", engines.statistics, seconds=POLL_SECONDS)
        last_seen: dict[str, float] = {}

        def look() -> float:
            self._watch([poll], {}, last_seen)
            return self._remaining(stage)

        with _running([poll]):
            yield look

    def _end_players(self, playing: dict[str, Any]) -> None:
        if playing and not self._rayless:
            with contextlib.suppress(Exception):  # Ray may be gone; then so are they
                players.stop(playing, self._patience)
            playing.clear()


@contextlib.contextmanager
def _running(polls: list[Poll[Any]]) -> Iterator[None]:
    for poll in polls:
        poll.start()
    try:
        yield
    finally:
        for poll in polls:
            poll.close()
