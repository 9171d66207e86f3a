"""Proposer and solver at a table of real services and a real sandbox; only the model follows a script."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.engine.records import GenerateRequest, Generation
from actors.players.judge import Judge
from actors.players.player import Player
from actors.players.proposer import Proposer
from actors.players.solver import Solver
from actors.players.table import Table
from actors.players.tally import PlayerTally
from actors.players.tokens import load_tokens
from actors.rollout.errors import RolloutError
from azr.config.root import Config
from azr.config.sections.algorithm import TermConfig
from azr.game.plan import Plan
from azr.game.tasks.deduction import Deduction
from azr.game.types import Attempt, Cell, Proposal, Task, Verdict, Version
from azr.game.wire import decode
from azr.journal import JournalError
from azr.ledger.ledger import Sample
from azr.ledger.work import ToAttempt, ToPropose, ToReplay
from sandbox_wasm.protocol import Sandbox
from tests.actors.games import seed_tasks, small_config
from tests.actors.local import Desk
from tests.actors.scripted import ScriptedEngines, publish, save_tokenizer
from tests.actors.waiting import until
from tests.journal.disks import full

ALL = ["deduction", "abduction", "induction"]


class Room:
    """A table with everything on it."""

    def __init__(self, folder: Path, sandbox: Sandbox, config: Config) -> None:
        self.sandbox = sandbox
        self.config = config
        self.desk = Desk(config, folder)
        self.engines = Answers(Path(config.model.path), folder / "version")
        self.experience = self.desk.player("player-0")
        self.table = Table(
            config=config,
            experience=self.experience,
            tasks=self.desk.shelves(),
            engines=self.engines,
            judge=Judge(sandbox, config.actors.judge_tries),
            tokens=load_tokens(config.model),
            tally=PlayerTally("player-0", "propose"),
            logger=logging.getLogger("test"),
        )
        self.numbers = itertools.count()

    @property
    def shard(self) -> Any:
        return self.desk.experience[0].shard

    async def seed(self) -> None:
        await self.desk.tasks[0].shard.add_many(seed_tasks(self.sandbox, self.config), False, False)

    async def work(self, role: str, name: str = "0.player-0@0/1", dry: list[str] | None = None) -> Any:
        (work,) = await self.shard.next_work("player-0@0", [name], [role], dry or [], 0.0)
        return work

    async def proposed(self, task_type: str = "deduction") -> ToPropose:
        """An admitted proposal of this type."""
        for _ in range(50):
            work: ToPropose = await self.work("propose", f"0.player-0@0/p{next(self.numbers)}")
            if work.task_type == task_type:
                return work
        raise AssertionError(f"no {task_type} proposal was admitted")

    def samples(self) -> dict[str, Sample]:
        return {each.id: each for each in self.shard.experience.book.ledger._in_flight.values()}

    async def discarded(self, cell: str) -> dict[str, int]:
        await self.shard.assert_closed()
        accounts = (await self.shard.statistics()).accounts
        return {reason: count.samples for reason, count in accounts[cell].discarded.items()} if cell in accounts else {}


class Answers(ScriptedEngines):
    """Says what it is told to say, or what the script says."""

    say: Callable[[GenerateRequest], list[str]] | None = None
    fail: int = 0
    error: Exception = RuntimeError("the replica died")

    async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
        if self.fail:
            self.fail -= 1
            raise self.error
        generation = await super().generate(request, deadline)
        if self.say is None:
            return generation
        texts = self.say(request)
        responses = tuple(self._response(text, request.max_tokens, self._version()) for text in texts)
        return msgspec.structs.replace(generation, responses=responses)


@pytest.fixture
async def room(tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[Room]:
    model = tmp_path / "model"
    save_tokenizer(model)
    publish(tmp_path / "version", Version(0, 0))
    made = Room(tmp_path, sandbox, small_config(model))
    yield made
    await made.desk.close()


GOOD = "def f(x):\n    return x * 3\n#i 7"


async def test_a_valid_proposal_becomes_a_task_that_waits_for_its_rating(room: Room) -> None:
    room.engines.say = lambda _: [GOOD]
    work = await room.proposed()
    await Proposer(room.table).play(work)
    rating = await room.work("solve", "0.player-0@0/s")
    assert isinstance(rating, ToAttempt)
    assert rating.group.rates == work.group
    task = await room.table.tasks.fetch("deduction", rating.group.task)
    assert task is not None
    assert (task.program, task.inputs, task.outputs) == ("def f(x):\n    return x * 3", ("7",), ("21",))
    assert await room.table.tasks.draw("deduction", 0) is None, "it is being rated: nobody else draws it"
    body = decode(room.samples()[f"{work.group}#0"].body, Proposal)
    assert body.task == task
    assert body.reason == "accepted"
    assert body.trajectory.cell == Cell("deduction", "propose")
    assert len(body.trajectory.response_ids) == len(body.trajectory.behaviour_logprobs) == len(GOOD)


async def test_where_the_reward_has_terms_a_proposal_brings_the_facts_of_its_program(room: Room) -> None:
    room.engines.say = lambda _: [GOOD]
    room.config.algorithm.proposer_reward.terms = {"complexity": TermConfig(coefficient=0.1)}
    work = await room.proposed()
    await Proposer(room.table).play(work)
    body = decode(room.samples()[f"{work.group}#0"].body, Proposal)
    assert body.facts is not None
    assert (body.facts.functions, body.facts.parameters) == (("f",), 1)
    assert body.task is not None
    assert len(body.shown) == len(body.task.references)


async def test_a_refused_proposal_is_a_sample_all_the_same(room: Room) -> None:
    room.engines.say = lambda _: ["def f(x):\n    return id(x)\n#i 7"]
    work = await room.proposed()
    await Proposer(room.table).play(work)
    body = decode(room.samples()[f"{work.group}#0"].body, Proposal)
    assert (body.task, body.reason) == (None, "banned")
    assert room.shard.experience.book.groups[work.group].state == "ready"


async def test_a_task_that_spells_a_control_token_of_the_solvers_model_is_refused(room: Room) -> None:
    room.engines.say = lambda _: ["def f(x):\n    return x + '<|end|>'\n#i 'a'"]
    room.table.tokens.control_texts = ("<|end|>",)
    work = await room.proposed()
    await Proposer(room.table).play(work)
    body = decode(room.samples()[f"{work.group}#0"].body, Proposal)
    assert (body.task, body.reason) == (None, "control_token")


async def test_a_task_that_is_known_is_refused_as_a_duplicate(room: Room) -> None:
    room.engines.say = lambda _: [GOOD]
    first, second = await room.proposed(), await room.proposed()
    proposer = Proposer(room.table)
    await proposer.play(first)
    await proposer.play(second)
    body = decode(room.samples()[f"{second.group}#0"].body, Proposal)
    assert (body.task, body.reason) == (None, "duplicate")


async def test_a_proposal_of_a_program_that_evaluation_asks_about_is_refused_by_that_name(room: Room) -> None:
    room.engines.say = lambda _request: ["def f(a):\n return a+7\n#i 1"]
    (free, inputs) = (Proposer(room.table), await room.proposed())
    await free.play(inputs)
    (sample,) = room.samples().values()
    task = decode(sample.body, Proposal).task
    assert task is not None
    apart = Proposer(Table(**{**vars(room.table), "held_out": frozenset({task.normal_form})}))
    room.engines.say = lambda _request: ["def f(b):\n return b+7\n#i 2"]
    await apart.play(await room.proposed())
    reasons = {decode(sample.body, Proposal).reason for sample in room.samples().values()}
    assert reasons == {"accepted", "held_out"}


async def test_a_proposal_that_was_cut_off_is_refused_whatever_it_holds(room: Room) -> None:
    room.engines.say = lambda request: [GOOD + " " * request.max_tokens]
    work = await room.proposed()
    await Proposer(room.table).play(work)
    body = decode(room.samples()[f"{work.group}#0"].body, Proposal)
    assert (body.task, body.reason) == (None, "truncated")
    assert body.trajectory.truncated


async def test_induction_is_asked_about_programs_of_other_types(room: Room) -> None:
    await room.seed()
    work = await room.proposed("induction")
    await Proposer(room.table).play(work)
    body = decode(room.samples()[f"{work.group}#0"].body, Proposal)
    assert body.reason == "accepted"
    assert body.task is not None
    assert len(body.task.inputs) == 4


async def test_without_a_program_to_show_an_induction_proposal_is_dropped(room: Room) -> None:
    work = await room.proposed("induction")
    assert not await Proposer(room.table).play(work), "the lane rests"
    assert work.group not in room.shard.experience.book.groups
    assert room.engines.asked == []


async def test_a_composite_builds_on_a_known_program_and_is_dropped_where_none_is_fit(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    save_tokenizer(tmp_path / "model")
    publish(tmp_path / "version", Version(0, 0))
    config = small_config(tmp_path / "model")
    config.algorithm.game.task_types = ["deduction", "composite"]
    room = Room(tmp_path, sandbox, config)
    room.engines.say = lambda _: ["def f(x):\n    return g_0(x) * 2\n#i 7"]
    for program in ("", "def f(x):\n    return f(x - 1) if x > 3 else x"):  # none at all; its entry has no other name
        if program:
            await room.table.tasks.add(known(program), out=False)
        work = await room.proposed("composite")
        await Proposer(room.table).play(work)
        assert work.group not in room.shard.experience.book.groups
    assert room.engines.asked == []
    await room.table.tasks.add(known("def f(x):\n    return x + 1"), out=False)
    work = await room.proposed("composite")
    await Proposer(room.table).play(work)
    body = decode(room.samples()[f"{work.group}#0"].body, Proposal)
    assert body.task is not None
    assert (body.task.components, body.task.outputs) == (("def g_0(x):\n    return x + 1",), ("16",))
    await room.desk.close()


def known(program: str) -> Task:
    return Task(
        id=program,
        task_type="deduction",
        program=program,
        inputs=("1",),
        outputs=("2",),
        normal_form=program,
        fingerprint=program,
    )


async def test_a_player_whose_engines_refuse_everything_does_not_go_through_work_without_rest(room: Room) -> None:
    import asyncio

    room.engines.fail = 1_000_000
    player = Player(room.table, "propose", 4, broken=lambda why: None)
    running = asyncio.create_task(player.run())
    await asyncio.sleep(1.2)
    await player.stop(5.0)
    await asyncio.wait_for(running, 5)
    assert 0 < room.table.tally.reasons["poisoned"] <= 4 * 4, "four lanes, each twice a second"


async def test_a_request_that_fails_is_sent_again(room: Room) -> None:
    room.engines.say, room.engines.fail = (lambda _: [GOOD]), 2
    work = await room.proposed()
    await Proposer(room.table).play(work)
    assert f"{work.group}#0" in room.samples()
    assert room.table.tally.reasons == {"RuntimeError": 2}


async def test_a_proposal_whose_request_always_fails_is_dropped_as_poisoned(room: Room) -> None:
    room.engines.fail = 1000
    work = await room.proposed()
    assert not await Proposer(room.table).play(work), "the lane rests"
    assert room.engines.fail == 1000 - 3
    assert work.group not in room.shard.experience.book.groups
    assert room.table.tally.reasons == {"RuntimeError": 3, "poisoned": 1}
    assert await room.discarded("deduction/propose") == {}, "nothing was generated"


def raises(*_: object) -> Any:
    raise KeyError("no such field")


def gives_nothing(*_: object) -> Plan[None]:
    yield from ()


@pytest.mark.parametrize(("part", "broken"), [("parse_proposal", raises), ("gate", raises), ("gate", gives_nothing)])
async def test_a_proposal_at_which_its_types_own_code_fails_is_dropped_with_its_tokens_counted(
    room: Room, monkeypatch: pytest.MonkeyPatch, part: str, broken: Callable[..., Any]
) -> None:
    monkeypatch.setattr(Deduction, part, broken)
    room.engines.say = lambda _: [GOOD]
    work = await room.proposed()
    assert await Proposer(room.table).play(work)
    assert work.group not in room.shard.experience.book.groups
    assert await room.discarded("deduction/propose") == {"judge_failed": 1}
    assert room.table.tally.reasons == {"judge_failed": 1}


async def rated_group(room: Room) -> ToAttempt:
    room.engines.say = lambda _: [GOOD]
    await Proposer(room.table).play(await room.proposed())
    rating = await room.work("solve", "0.player-0@0/s", ALL)
    assert isinstance(rating, ToAttempt)
    return rating


async def test_all_attempts_at_a_task_come_in_together_and_rate_it(room: Room) -> None:
    rating = await rated_group(room)
    room.engines.say = lambda _: ["21", "21", "22", "21]"]
    await Solver(room.table).play(rating)
    bodies = [decode(room.samples()[f"{rating.group.id}#{index}"].body, Attempt) for index in range(4)]
    assert [body.verdict.reason for body in bodies][:3] == ["correct", "correct", "wrong"]
    assert [body.trajectory.reward for body in bodies] == [1.0, 1.0, -0.5, -1.0]
    proposal = room.shard.experience.book.groups[rating.group.rates]
    assert (proposal.rating.correct, proposal.rating.attempts) == (2, 4)
    status = (await room.desk.tasks[0].shard.statistics()).buffers["deduction"]
    assert (status.new, status.out) == (0, 0), "the buffer knows the rating"


async def test_equal_answers_to_one_task_are_judged_once(room: Room) -> None:
    rating = await rated_group(room)
    room.engines.say = lambda _: ["21", "22", "21", "21"]
    before = room.sandbox.statistics().executions
    await Solver(room.table).play(rating)
    assert room.sandbox.statistics().executions == before + 2
    assert room.shard.experience.book.groups[rating.group.rates].rating.correct == 3


async def test_a_truncated_attempt_is_wrong_even_when_it_holds_the_answer(room: Room) -> None:
    rating = await rated_group(room)
    room.engines.say = lambda request: ["21" + " " * request.max_tokens] * 4
    await Solver(room.table).play(rating)
    body = decode(room.samples()[f"{rating.group.id}#0"].body, Attempt)
    assert body.verdict.reason == "truncated"
    assert body.trajectory.reward == room.config.algorithm.solver_reward.truncated


async def test_attempts_that_are_made_again_are_the_same(room: Room) -> None:
    rating = await rated_group(room)
    room.engines.say = None
    solver = Solver(room.table)
    again = ToAttempt(msgspec.structs.replace(rating.group, samples=[]))
    await solver.play(rating)
    await solver.play(again)
    one, two = room.engines.asked[-2:]
    assert one == two


async def test_a_group_of_which_some_attempts_are_known_takes_only_what_is_missing(room: Room) -> None:
    rating = await rated_group(room)
    known = Sample(
        id=f"{rating.group.id}#1",
        group=rating.group.id,
        cell=rating.group.cell,
        tokens=9,
        versions=(Version(0, 0),),
        correct=True,
    )
    await room.shard.attempt_many([([known], None)], "somebody else", False)
    room.engines.say = lambda _: ["21", "0", "0", "0"]
    await Solver(room.table).play(ToAttempt(room.shard.experience.book.groups[rating.group.id]))
    assert room.samples()[known.id].tokens == 9
    assert room.shard.experience.book.groups[rating.group.rates].rating.correct == 2
    assert await room.discarded("deduction/solve") == {"made_again": 1}


async def test_attempts_that_cannot_be_decided_drop_their_group_and_are_counted(room: Room) -> None:
    rating = await rated_group(room)
    room.engines.say = lambda _: ["21"] * 4

    class Stumbling:
        async def decide_all(
            self, plans: list[object], undecided: Callable[[Verdict], bool]
        ) -> list[tuple[Verdict, int]]:
            verdict = Verdict(correct=False, well_formed=True, reason="retry")
            assert undecided(verdict)
            return [(verdict, 2) for _ in plans]

    table = Table(**{**vars(room.table), "judge": Stumbling()})
    await Solver(table).play(rating)
    assert rating.group.id not in room.shard.experience.book.groups
    assert await room.discarded("deduction/solve") == {"retry": 4}
    assert await room.discarded("deduction/propose") == {"retry": 1}, "a proposal makes no sense without its rating"


@pytest.mark.parametrize(("part", "broken"), [("parse_answer", raises), ("verify", raises), ("verify", gives_nothing)])
async def test_attempts_at_which_their_types_own_code_fails_are_counted_and_their_task_does_not_come_back(
    room: Room, monkeypatch: pytest.MonkeyPatch, part: str, broken: Callable[..., Any]
) -> None:
    """Sampled again they would fail again, and again after the task's next draw."""
    rating = await rated_group(room)
    monkeypatch.setattr(Deduction, part, broken)
    room.engines.say = lambda _: ["21", "22", "21", "21"]
    assert await Solver(room.table).play(rating)
    assert await room.discarded("deduction/solve") == {"judge_failed": 4}
    assert await room.discarded("deduction/propose") == {"judge_failed": 1}, (
        "a proposal makes no sense without its rating"
    )
    assert room.table.tally.reasons == {"judge_failed": 1}
    assert await room.desk.tasks[0].shard.ready() == 0


@pytest.mark.parametrize(
    ("error", "held"), [(RolloutError("poisoned", "engines died of it"), 0), (RolloutError("deadline", "slow"), 1)]
)
async def test_attempts_whose_request_always_fails_go_to_others_until_they_are_poisoned(
    room: Room, error: RolloutError, held: int
) -> None:
    """A task that engines were too slow for is as sound as any: it stays, to be drawn at another time."""
    rating = await rated_group(room)
    room.engines.fail, room.engines.error = 10_000, error
    solver = Solver(room.table)
    for _ in range(room.config.staleness.max_tries):
        assert not await solver.play(rating), "the lane rests"
        again = await room.shard.next_work("player-0@0", ["0.player-0@0/s"], ["solve"], ALL, 0.0)
        rating = again[0] if again else rating
    assert again == []
    assert await room.discarded("deduction/propose") == {"poisoned": 1}
    assert await room.desk.tasks[0].shard.ready() == held, "a task that nobody can attempt does not come back"


async def test_a_replay_draws_a_task_and_opens_its_group(room: Room) -> None:
    await room.seed()
    work = await room.work("solve")
    assert isinstance(work, ToReplay)
    await Solver(room.table).play(work)
    group = room.shard.experience.book.groups[work.group]
    assert (group.kind, group.state, group.size) == ("replay", "ready", 4)


async def test_a_type_of_which_nothing_can_be_drawn_is_left_alone_for_a_while(room: Room) -> None:
    work = await room.work("solve")
    solver = Solver(room.table)
    await solver.play(work)
    assert solver.dry() == [work.task_type]
    assert room.engines.asked == []


async def test_a_replay_that_is_not_admitted_any_more_gives_its_task_back(room: Room) -> None:
    await room.seed()
    work = await room.work("solve")
    full = room.shard.experience.book.admission
    for _ in range(full.free(work_cell := Cell(work.task_type, "solve")) // 4):
        full.hold_replay(work.task_type) if hasattr(full, "hold_replay") else full.hold(work_cell, 4, replay=True)
    await Solver(room.table).play(work)
    assert work.group not in room.shard.experience.book.groups
    assert (await room.desk.tasks[0].shard.statistics()).buffers[work.task_type].out == 0


async def test_a_replay_that_a_full_disk_refuses_gives_its_task_back(room: Room) -> None:
    await room.seed()
    work = await room.work("solve")
    with full(room.shard.host.journal), pytest.raises(JournalError, match="the disk is full"):
        await Solver(room.table).play(work)
    assert (await room.desk.tasks[0].shard.statistics()).buffers[work.task_type].out == 0
    await Solver(room.table).play(work)
    assert room.shard.experience.book.groups[work.group].state == "ready"


async def test_a_lane_whose_loss_a_full_disk_refuses_too_rests_like_any_other(room: Room) -> None:
    """The group stays its own until its lease runs out."""
    rating = await rated_group(room)
    room.engines.say = lambda _: ["21"] * 4
    player = Player(room.table, "solve", 1, broken=lambda why: None)
    with full(room.shard.host.journal):
        with pytest.raises(JournalError, match="the disk is full") as refused:
            await player._play(rating)
        await player._failed(rating, refused.value)
    assert room.table.tally.reasons == {"JournalError": 1}
    group = room.shard.experience.book.groups[rating.group.id]
    assert (group.state, group.tries) == ("open", 0)


async def test_a_player_plays_on_once_its_experience_has_room_again(room: Room) -> None:
    import asyncio

    await room.seed()
    player = Player(room.table, "solve", 2, broken=lambda why: None)
    with full(room.shard.host.journal):
        running = asyncio.create_task(player.run())
        await until(lambda: room.table.tally.reasons["JournalError"] >= 4, "lanes tried again and again")
    await until(lambda: room.table.tally.done >= 2, "lanes do their work")
    await player.stop(5.0)
    await asyncio.wait_for(running, 5)
    await room.shard.assert_closed()


async def test_a_player_fills_its_lanes_and_stops_when_told(room: Room) -> None:
    import asyncio

    await room.seed()
    left: list[str] = []
    player = Player(room.table, "propose", 4, broken=left.append)
    running = asyncio.create_task(player.run())
    deadline = asyncio.get_running_loop().time() + 20
    while room.table.tally.done < 12 and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)
        assert len(player.under_way()) <= 4
    assert await player.stop(5.0) == []
    await asyncio.wait_for(running, 5)
    assert room.table.tally.done >= 12
    assert left == []
    await room.shard.assert_closed()


async def test_a_group_that_failed_before_goes_to_others_at_once_when_it_is_given_up(room: Room) -> None:
    import asyncio

    rating = await rated_group(room)
    await room.shard.lost(rating.group.id, "player-0@0", 0, True)
    player, begun = Player(room.table, "solve", 1, broken=lambda why: None), asyncio.Event()

    async def endless(_: object) -> None:
        begun.set()
        await asyncio.sleep(60)

    player._solver.play = endless  # type: ignore[method-assign,assignment]
    running = asyncio.create_task(player.run())
    await asyncio.wait_for(begun.wait(), 10)
    assert await player.stop(0.05) == [rating.group.id]
    await asyncio.wait_for(running, 5)
    (again,) = await room.shard.next_work("other@1", ["0.other/1"], ["solve"], ALL, 0.0)
    assert isinstance(again, ToAttempt)
    assert (again.group.id, again.group.tries) == (rating.group.id, 1), "and giving it up was no failure"


async def test_a_defect_in_a_lane_is_counted_and_its_work_given_to_others(room: Room) -> None:
    player = Player(room.table, "solve", 1, broken=lambda why: None)
    rating = await rated_group(room)

    async def broken(_: object) -> None:
        raise KeyError("a defect")

    player._solver.play = broken  # type: ignore[method-assign,assignment]
    try:
        await player._play(rating)
    except KeyError as error:
        await player._failed(rating, error)
    (again,) = await room.shard.next_work("other@1", ["0.other/1"], ["solve"], ALL, 0.0)
    assert isinstance(again, ToAttempt)
    assert again.group.id == rating.group.id
    assert room.table.tally.reasons == {"KeyError": 1}
