"""Mutations of rewards."""

from __future__ import annotations

from tests.mutation.mutation import mutations

LEARNABILITY = "tests/rewards/test_learnability.py"
TERMS = "tests/rewards/test_terms.py"
PROPOSER = "tests/rewards/test_proposer.py"

MUTATIONS = [
    *mutations(
        "azr/game/rewards/learnability.py",
        LEARNABILITY,
        [
            ("(attempts * (attempts - 1))", "(attempts * attempts)"),
            ("4.0 * right * (attempts - right)", "4.0 * right * (attempts + right)"),
            ("4.0 * right", "2.0 * right"),
            ("attempts < 2", "attempts < 1"),
            ("0.0 if right == 0 else 1.0 - right / attempts", "1.0 - right / attempts"),
            ("0.0 if right == 0 else 1.0 - right / attempts", "0.0 if right == 0 else right / attempts"),
            ("min(right, attempts - right)", "max(right, attempts - right)"),
            ("right in (0, attempts)", "right in (0,)"),
            ("right / attempts - target)", "right / attempts + target)"),
            ("max(target, 1.0 - target)", "min(target, 1.0 - target)"),
        ],
    ),
    *mutations(
        "azr/game/rewards/solver.py",
        "tests/rewards/test_solver.py",
        [
            ("config.malformed if _is_malformed(verdict, config) else config.wrong", "config.malformed"),
            ("removeprefix(MALFORMED) not in", "removeprefix(MALFORMED) in"),
            ('and config.malformed_means == "tags"', ""),
            ("return config.truncated", "return config.wrong"),
            ("if verdict.correct:", "if not verdict.correct:"),
            ("verdict.reason in UNDECIDED", "verdict.reason not in UNDECIDED"),
            ("    if truncated:", "    if truncated and not verdict.correct:"),
        ],
    ),
    *mutations(
        "azr/game/rewards/combine.py",
        "tests/rewards/test_combine.py",
        [
            ("max(-cap, min(coefficient * value, cap))", "min(coefficient * value, cap)"),
            ("max(-cap, min(coefficient * value, cap))", "max(-cap, coefficient * value)"),
            ("coefficient * value", "coefficient + value"),
            ("    return learnability + math.fsum(terms)", "    return learnability - math.fsum(terms)"),
            ("    return learnability * math.prod(terms)", "    return learnability + math.prod(terms)"),
            ("    return learnability + math.prod(terms)", "    return learnability * math.prod(terms)"),
            ("    return learnability * math.fsum(terms)", "    return learnability + math.fsum(terms)"),
        ],
    ),
    *mutations(
        "azr/game/rewards/complexity.py",
        TERMS,
        [(".cognitive / self.scale", ".cyclomatic / self.scale"), ("if not scale > 0", "if not scale >= 0")],
    ),
    *mutations(
        "azr/game/rewards/halstead.py",
        TERMS,
        [
            ("EFFORT = (0.5, 10_000.0)", "EFFORT = (0.5, 1_000.0)"),
            ("CYCLOMATIC = (0.3, 10.0)", "CYCLOMATIC = (0.4, 10.0)"),
            ("VOLUME = (0.2, 500.0)", "VOLUME = (0.2, 250.0)"),
            ("min(value / full, 1.0)", "value / full"),
            ("min(value / full, 1.0)", "max(value / full, 1.0)"),
        ],
    ),
    *mutations(
        "azr/game/rewards/edit_distance.py",
        TERMS,
        [
            ("1.0 - 2.0 * common / total", "1.0 - common / total"),
            ("row + matches | row - matches", "row + matches | row"),
            ("end += len(other) + 1", "end += len(other)"),
            ("total := len(program) + len(other)", "total := len(program) + len(program)"),
            ("length - (row >> start", "(row >> start"),
            ("other[:MAX_TOKENS]", "other"),
            ("return 1.0\n        return fmean", "return 0.0\n        return fmean"),
        ],
    ),
    *mutations(
        "azr/game/rewards/answer_diversity.py",
        TERMS,
        [
            ("1.0 - count / total if total else 1.0", "count / total if total else 1.0"),
            ("1.0 - count / total if total else 1.0", "1.0 - count / total if total else 0.0"),
            ("self.distinct > self.capacity", "self.distinct >= self.capacity"),
            ("count // 2 for key, count in values.items() if count > 1", "count for key, count in values.items()"),
            ("if count > 1}", "if count > 0}"),
            ("0.5 * (self.counts.type_rarity(answer) +", "0.5 * (self.counts.type_rarity(answer) -"),
            ("self.totals.get(answer.type_name, 0))", "self.total)"),
            ("digest_size=8", "digest_size=16"),
            ("self.total += 1", "self.total += 2"),
        ],
    ),
    *mutations(
        "azr/game/rewards/cluster_share.py",
        "tests/rewards/test_cluster_share.py",
        [
            ("between[first, second] > threshold", "between[first, second] >= threshold"),
            ("(size - 1) / len(batch)", "size / len(batch)"),
            ("1.0 - 2.0 * shared", "1.0 - shared"),
            ("sizes[first] += sizes[second]", "sizes[first] -= sizes[second]"),
            ("label[label == second] = first", "label[second] = first"),
            ("sizes[first] * between[first] + sizes", "sizes[first] * between[first] - sizes"),
            ("GRAM = 3", "GRAM = 2"),
            ("len(program) - gram + 1", "len(program) - gram"),
            ("for _ in range(count - 1)", "for _ in range(count - 2)"),
        ],
    ),
    *mutations(
        "azr/game/rewards/proposer.py",
        PROPOSER,
        [
            ("if value > 0.0]", "if value >= 0.0]"),
            ("config.terms.items() if term.coefficient != 0.0", "config.terms.items()"),
            ("any(term.coefficient != 0.0 for", "any(term.coefficient > 0.0 for"),
            ("0 <= proposal.right <= proposal.attempts or", "0 <= proposal.right or"),
            ("0 <= proposal.right <= proposal.attempts or", "proposal.right <= proposal.attempts or"),
            ("or proposal.attempts == 0", ""),
            ("ProposalReward(self.config.at_extremes)", "ProposalReward(0.0)"),
            ("ProposalReward(self.config.invalid)", "ProposalReward(-1.0)"),
            ("list(terms.values())) if terms else learnability", "list(terms.values()))"),
            ("proposal.attempts, self.config.target_rate)", "proposal.attempts, 0.5)"),
            ("            if not owed:\n                continue\n", ""),
            ("one.program_given and judges_program(term)", "one.program_given"),
            ("one.program_given and judges_program(term)", "judges_program(term)"),
        ],
    ),
]
