"""Mutations of the ledger, the experience and the journal."""

from __future__ import annotations

from tests.mutation.mutation import mutations

EXPERIENCE = (
    "tests/ledger/test_experience.py",
    "tests/ledger/test_experience_resumed.py",
    "tests/ledger/test_taking.py",
    "tests/ledger/test_work.py",
)
BODIES = ("tests/ledger/test_bodies.py",)

MUTATIONS = [
    *mutations(
        "azr/ledger/ledger.py",
        "tests/ledger/test_ledger.py",
        [
            ("if self.knows(sample.id):", "if sample.id in self._in_flight:"),
            ("trained.add(-1, -sample.tokens)", "trained.add(-1, sample.tokens)"),
            ("if step >= since]", "if step > since]"),
            ("earlier(self._steps, trained_before)", "earlier(self._steps, trained_before + 1)"),
            ("earlier(self._steps, trained_before)", "self._steps.copy()"),
            ("if step >= made_before:", "if step > made_before:"),
            ("self._settled.add(sample_id, sample.oldest.step)", "self._settled.add(sample_id, step)"),
            ("self._settled.forget(made_before)", "self._settled.forget(made_before - 9)"),
            ("if generated != accounted:", "if generated < accounted:"),
            ("if len(set(ids)) < len(ids):", "if False:"),
            ("account.generated.add(samples, tokens)\n        account.discard(", "account.discard("),
        ],
    ),
    *mutations(
        "azr/ledger/dated.py",
        "tests/ledger/test_dated.py",
        [
            ("if step < than]", "if step <= than]"),
            ("if name not in self._steps:", "if True:"),
            ("                del self._steps[name]\n", "                pass\n"),
            ("for name in self._ids.pop(step):", "for name in self._ids[step]:"),
        ],
    ),
    *mutations(
        "azr/ledger/ledger.py",
        BODIES,
        [('replace(sample, body=b"")', "replace(sample)"), ("if sample.body:", "if False:")],
    ),
    *mutations(
        "azr/ledger/bodies.py",
        BODIES,
        [
            ("newest <= checkpoint <= trained", "newest < checkpoint <= trained"),
            ("newest <= checkpoint <= trained", "newest <= checkpoint < trained"),
            ("newest <= checkpoint <= trained", "newest <= checkpoint"),
            ("newest <= checkpoint <= trained", "checkpoint <= trained"),
            ("newest = max(", "newest = min("),
        ],
    ),
    *mutations(
        "azr/ledger/snapshots.py",
        ("tests/ledger/test_snapshots.py", "tests/journal/test_durable.py"),
        [
            ("if piece and size + len(sample.body) > piece_bytes:", "if piece and size > piece_bytes:"),
            ("size + len(sample.body) > piece_bytes", "size + len(sample.body) >= piece_bytes"),
            ("            piece, size = {}, 0\n", "            piece = {}\n"),
            ("    if piece:\n        yield piece\n", ""),
            ("trained=[(step, _without_body(sample)) for step, sample in ledger.trained],", ""),
            ("in_flight=[_without_body(sample) for sample in ledger.in_flight],", ""),
            ("    check_schema(history[0])\n", ""),
        ],
    ),
    *mutations(
        "azr/ledger/leases.py",
        "tests/ledger/test_leases.py",
        [
            ("self._deadlines[0][0] <= now", "self._deadlines[0][0] < now"),
            ("lease.deadline == deadline", "True"),
            ("if lease.owner == owner]", "]"),
        ],
    ),
    *mutations(
        "azr/ledger/experience.py",
        EXPERIENCE,
        [
            ("group.tries + 1 >= self._max_tries", "group.tries >= self._max_tries"),
            ("consumer.step < self.book.next_step:\n            return", "False:\n            return"),
            ("if version > self.book.published:", "if version != self.book.published:"),
            ('doomed.setdefault(group.id, "lost")', "pass"),
            ("self._record([events.Retried(group_id)] if blame else [])", "self._record([events.Retried(group_id)])"),
            ("if consumer.step in self.book.taken:", "if False:"),
            ("self._given_up = set(chosen.lacking)", "self._given_up |= set(chosen.lacking)"),
            ("quota.cell not in self._given_up] if patient", "True] if patient"),
            ("] if patient else ()", "]"),
            ("and event.group not in opened:", ":"),
            ("(trial.hold_proposal if proposes else trial.hold_replay)(event.task_type)", "pass"),
            ("dict.fromkeys(name for name in names", "(name for name in names"),
            ('if "solve" in roles else []', "if True else []"),
            ("fresh[: len(fresh) - len(waiting)]", "fresh"),
        ],
    ),
    *mutations(
        "azr/ledger/experience.py",
        BODIES,
        [
            ("doomed.setdefault(group.id, FORGOTTEN)", "pass"),
            ("if not self.book.may_return(group, step)]", "]"),
            ("if at.step < self.book.checkpoints[0]:", "if False:"),
            ("if step in known or step == next_step]", "if step in known or step <= next_step]"),
            ("step > known[-1] and step not in kept", "step > next_step"),
            ("if kept != known:", "if True:"),
            ("if not kept:", "if False:"),
        ],
    ),
    *mutations(
        "azr/ledger/taking.py",
        EXPERIENCE,
        [
            ("(min(group.versions).step, group.sequence)", "(-min(group.versions).step, group.sequence)"),
            ("spare >= group.size", "spare > group.size"),
            ('        if group.state == "ready":', '        if group.state != "taken":'),
            ("carried.get(quota.cell, 0) * quota.group_size", "0"),
            ('plan.when_dry == "wait" or any', "any"),
            ("if composed.lacking and waits:", "if waits:"),
            ("if not composed.groups:", "if False:"),
            ('if plan.when_dry == "carry":', "if False:"),
            ("cell.role in roles and _under_way", "_under_way"),
            ("for cell in composed.take)", "for cell in composed.missing)"),
            (' or Cell(group.task_type, "solve") == cell', ""),
            ("count * size[cell]", "count"),
            ("ready[cell][:count]", "ready[cell]"),
        ],
    ),
    *mutations(
        "azr/ledger/work.py",
        EXPERIENCE,
        [
            ("trial = admission.copy()", "trial = admission"),
            ("trial.hold_proposal(cell.task)", "pass"),
            ("trial.hold_replay(cell.task)", "pass"),
            ('not (cell.role == "solve" and cell.task in dry)', "cell.task not in dry"),
            ("cell.role in roles and", ""),
        ],
    ),
    *mutations(
        "azr/ledger/book.py",
        EXPERIENCE,
        [
            ("if not all(map(self.ancestry.holds, sample.versions)):", "if False:"),
            ("group is None or group.missing == 0 or group.cell != sample.cell", "group is None or group.missing == 0"),
            ("_add_versions(proposal, rating.versions)", "pass"),
            ('self.admission.release(Cell(group.task_type, "solve"), self.limits.rating_slots)', "pass"),
            ("if step >= event.at.step]", "if step > event.at.step]"),
            ("trained < step and trained not in self._unpublished", "trained < step"),
            ("if not self.limits.rating_trained:", "if False:"),
            ("held = step in self._unpublished", "held = False"),
            ("for step in self.owing if step < consumer.step", "for step in self.owing if step <= consumer.step"),
            ("if step < event.at.step}", "if step <= event.at.step}"),
            ("for taken in self.owing if taken < step", "for taken in self.owing if taken <= step"),
            ("if event.owing or self.owing:", "if event.owing:"),
        ],
    ),
    *mutations(
        "azr/ledger/book.py",
        BODIES,
        [
            ("        self._strip(step)\n", ""),
            ("                self._strip(trained)\n", "                pass\n"),
            (
                "step <= trained <= step + self.limits.max_staleness",
                "step < trained <= step + self.limits.max_staleness",
            ),
            (
                "step <= trained <= step + self.limits.max_staleness",
                "step <= trained < step + self.limits.max_staleness",
            ),
            ("for step in self.checkpoints if step < event.at.step), event.at.step]", "for step in self.checkpoints)]"),
            ("if step < event.at.step), event.at.step]", "if step < event.at.step)]"),
            ("        self.checkpoints = snapshot.checkpoints\n", ""),
            ("if step >= self.checkpoints[0] else []", ""),
            ("(self.limits.max_staleness + 1):", "(self.limits.max_staleness + 9):"),
        ],
    ),
    *mutations(
        "azr/journal/frames.py",
        "tests/journal/test_frames.py",
        [
            ("zlib.crc32(body, zlib.crc32(_NUMBERS.pack(sequence, synced, len(body))))", "zlib.crc32(body)"),
            ("if start != end or number != sequence:", "if start != end:"),
            ("if start != end or number != sequence:", "if number != sequence:"),
            (
                "sequence, end = number + 1, start + FRAME_BYTES + len(body)",
                "sequence, end = number + 1, start + len(body)",
            ),
            ("checksum != zlib.crc32(data[: HEADER_BYTES - 4])", "False"),
            ("and checksum == _checksum(sequence, synced, body)", ""),
        ],
    ),
    *mutations(
        "azr/journal/journal.py",
        "tests/journal/test_journal.py",
        [
            ('if self._policy == "commit" or (', 'if self._policy == "never" or ('),
            (
                "self._clock() - self._synced_at >= self._sync_seconds",
                "self._clock() - self._synced_at < self._sync_seconds",
            ),
            ("file.truncate(content.end)", "pass"),
            ("file.truncate(self._size)", "pass"),
            ("            file.sync()\n        except BaseException", "            pass\n        except BaseException"),
            (
                "            self._storage.sync_names()\n        except OSError",
                "            pass\n        except OSError",
            ),
            ("if older < self._generation:", "if older <= self._generation:"),
            ("newest = generations[-1]", "newest = generations[0]"),
            ("max(bytes_, 2 * self._compacted)", "bytes_"),
            ("max(bytes_, 2 * self._compacted)", "2 * self._compacted"),
            ("        self._compacted = self._size\n", ""),
            ('self._unusable = f"syncing it failed ({error})"', "pass"),
            ('self._unusable = f"putting {name} in place failed ({error})"', "pass"),
        ],
    ),
    *mutations(
        "azr/journal/tasks.py",
        "tests/journal/test_tasks.py",
        [
            ("if group not in self._rated]", "]"),
            ("estimate.group or number", "number"),
            ("self._rated = dict.fromkeys(rated)", "pass"),
            ("len(self._rated) - REMEMBERED", "len(self._rated) - REMEMBERED - 1"),
        ],
    ),
]
