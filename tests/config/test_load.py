"""How a configuration is composed, and how a mistake in one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from azr.config import Config, load, resolved_yaml, write_resolved
from azr.config.load import changed, known_keys
from azr.errors import ConfigError


def _told(configs: list[str] | None = None, overrides: list[str] | None = None) -> str:
    """What a user reads when this configuration is refused."""
    with pytest.raises(ConfigError) as refused:
        load(configs or [], overrides or [])
    assert refused.value.mend, "an error must say how to mend it"
    return refused.value.what


def _file(folder: Path, text: str, name: str = "my.yaml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_nothing_given_is_the_defaults_of_the_sections() -> None:
    assert load() == Config()


def test_an_override_sets_one_key_and_keeps_the_rest() -> None:
    config = load([], ["run.seed=7"])
    assert config.run.seed == 7
    config.run.seed = Config().run.seed
    assert config == Config()


def test_values_take_the_type_their_key_declares() -> None:
    config = load([], ["run.name=7", "algorithm.optimiser.lr=1e-5", "algorithm.loss.dual_clip=null"])
    assert config.run.name == "7"
    assert config.algorithm.optimiser.lr == 1e-5
    assert config.algorithm.loss.dual_clip is None


@pytest.mark.parametrize(
    "text", ["0123", "1e5", "1:30", "null", "true", "on", "[", "a: b", "x # y", "{a: 1", "2026-11-26", "-", "'", "a=b"]
)
def test_text_is_taken_as_it_stands_where_a_key_takes_text_and_outlasts_the_resolved_file(
    text: str, tmp_path: Path
) -> None:
    config = load([], [f"run.name={text}", f"run.folder=/data/{text}", f"rollout.engine_arguments.x={text}"])
    assert (config.run.name, config.run.folder) == (text, f"/data/{text}")
    assert config.rollout.engine_arguments == {"x": text}
    assert load([str(write_resolved(config, tmp_path))]) == config


def test_quotes_around_text_are_yamls() -> None:
    config = load([], ["run.name='0123'", 'run.folder="a: b"', "cluster.gpu=''", "weights.folder="])
    assert (config.run.name, config.run.folder) == ("0123", "a: b")
    assert (config.cluster.gpu, config.weights.folder) == ("", "")


def test_a_later_override_wins_over_an_earlier_one() -> None:
    assert load([], ["run.seed=1", "run.seed=2"]).run.seed == 2


def test_files_apply_in_order_and_overrides_after_them(tmp_path: Path) -> None:
    first = _file(tmp_path, "run: {seed: 1, name: first}", "first.yaml")
    second = _file(tmp_path, "run: {seed: 2}", "second.yaml")
    config = load([first, second], ["run.folder=elsewhere"])
    assert (config.run.seed, config.run.name, config.run.folder) == (2, "first", "elsewhere")


def test_a_list_is_replaced_and_a_mapping_is_merged() -> None:
    config = load([], ["algorithm.game.task_types=[deduction]", "algorithm.batch.cell_weights={deduction/solve: 2}"])
    assert config.algorithm.game.task_types == ["deduction"]
    assert config.algorithm.batch.cell_weights == {"deduction/solve": 2.0}


def test_a_group_choice_applies_its_preset() -> None:
    assert load([], ["algorithm=paper"]).algorithm.proposer_reward.learnability == "one_minus_mean"


def test_an_override_after_a_group_choice_changes_what_was_chosen() -> None:
    config = load([], ["algorithm=paper", "algorithm.loss.clip_low=0.1"])
    assert config.algorithm.loss.clip_low == 0.1
    assert config.algorithm.proposer_reward.learnability == "one_minus_mean"


@pytest.mark.parametrize("included", [True, False])
def test_the_default_is_refused_after_another_choice_which_it_could_not_take_back(
    included: bool, tmp_path: Path
) -> None:
    configs = [_file(tmp_path, "include: [algorithm/paper]")] if included else []
    told = _told(configs, [*([] if included else ["algorithm=paper"]), "algorithm=default"])
    before = "preset algorithm/paper" if included else "algorithm=paper"
    assert told.startswith(f"algorithm=default would change nothing after {before}")


@pytest.mark.parametrize("included", [True, False])
def test_an_ablation_that_an_algorithm_would_take_back_is_refused_with_the_right_order(
    included: bool, tmp_path: Path
) -> None:
    """It would run whole, and nobody would be told."""
    configs = [_file(tmp_path, "include: [ablation/without_references]")] if included else []
    given = [*([] if included else ["ablation=without_references"]), "algorithm=paper"]
    with pytest.raises(ConfigError, match=r"sets algorithm\.game\.references otherwise, and the later") as refused:
        load(configs, given)
    assert refused.value.mend == "name algorithm/paper before ablation/without_references"
    assert load([], ["algorithm=paper", "ablation=without_references"]).algorithm.game.references == 0
    once_more = [*given, "ablation=without_references"]
    assert load(configs, once_more).algorithm.game.references == 0, "as the mend says, whatever came before"
    apart = load([], ["ablation=deduction_only", "algorithm=paper"])
    assert apart == load([], ["algorithm=paper", "ablation=deduction_only"])


def test_the_default_over_a_models_preset_is_that_presets_and_may_be_chosen_away() -> None:
    assert load(["tiny"], ["algorithm=default", "algorithm=default"]) == load(["tiny"])
    assert load([], ["algorithm=default", "algorithm=paper"]) == load([], ["algorithm=paper"])
    assert load([], ["ablation=solver_only", "algorithm=default"]) == load([], ["ablation=solver_only"])


def test_a_tilde_before_a_path_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    path = _file(tmp_path, "seeding: {file: ~/seeds.jsonl}\nweights: {folder: ~/weights}")
    config = load([path], ["run.folder=~/runs", "model.path=~"])
    assert (config.seeding.file, config.weights.folder) == ("/home/somebody/seeds.jsonl", "/home/somebody/weights")
    assert (config.run.folder, config.model.path) == ("/home/somebody/runs", "/home/somebody")
    assert changed(config, ["run.folder=~/elsewhere"]).run.folder == "/home/somebody/elsewhere"
    assert load([], ["run.folder=a/~b"]).run.folder == "a/~b"


def test_a_home_that_nobody_has_is_told() -> None:
    assert _told([], ["run.folder=~nobody-of-that-name/runs"]).startswith("run.folder: ~nobody-of-that-name/runs: ")


def test_a_preset_of_a_group_can_be_named_as_a_whole_configuration() -> None:
    assert load(["algorithm/paper"]) == load([], ["algorithm=paper"])


def test_a_file_includes_presets_before_its_own_keys(tmp_path: Path) -> None:
    path = _file(tmp_path, "include: [algorithm/paper]\nalgorithm: {loss: {clip_low: 0.1}}")
    assert load([path]) == load([], ["algorithm=paper", "algorithm.loss.clip_low=0.1"])


def test_a_value_may_refer_to_another_key() -> None:
    assert load([], ["run.name=seed${run.seed}", "run.seed=3"]).run.name == "seed3"


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load([_file(tmp_path, "")]) == Config()


@pytest.mark.parametrize(
    ("override", "nearest"),
    [
        ("run.sed=7", "'run.seed'"),
        ("algorithm.loss.clip_lo=0.1", "'algorithm.loss.clip_low'"),
        ("algoritm.loss.clip_low=0.1", "'algorithm'"),
        ("learnability=variance", "'algorithm.proposer_reward.learnability'"),
        ("algorithm.proposer_reward.terms.edit_distance.coeficient=1", "terms.edit_distance.coefficient'"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(override: str, nearest: str) -> None:
    told = _told(overrides=[override])
    assert override.partition("=")[0].rpartition(".")[2] in told
    assert nearest in told


def test_an_unknown_key_in_a_file_is_told_with_the_file(tmp_path: Path) -> None:
    path = _file(tmp_path, "run: {sed: 7}")
    assert path in _told([path])


def test_a_key_with_dots_in_a_file_is_told_that_keys_are_nested_there(tmp_path: Path) -> None:
    path = _file(tmp_path, "run.seed: 2")
    with pytest.raises(ConfigError) as refused:
        load([path])
    assert refused.value.what == f"{path}: no key is called 'run.seed': in a file keys are nested"
    assert refused.value.mend == "write sections and keys, as in run: {seed: 1}"


@pytest.mark.parametrize(
    "override", ["run.seed=seven", "run.seed=1.5", "run.seed=null", "run.seed=[1]", "run.seed=true"]
)
def test_a_value_of_the_wrong_type_is_refused_with_key_and_value(override: str) -> None:
    told = _told(overrides=[override])
    assert "run.seed: " in told
    assert override in told


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("safety.patterns=[1]", "safety.patterns: it takes names, each with text, as in {name: value}, not a list"),
        ("sandbox.options=[]", "sandbox.options: it takes names, each with a value"),
        ("rollout.engine_arguments=[1]", "rollout.engine_arguments: it takes names, each with text"),
        ("algorithm.batch.cell_weights=[1]", "algorithm.batch.cell_weights: it takes names, each with a number"),
        ("algorithm.batch.cell_weights={a/solve: [1]}", "cell_weights.a/solve: it takes a number, not a list"),
        (
            "learner.freeze={a: 1}",
            "learner.freeze: it takes a list of text, as in [one, another], not keys with values",
        ),
        ("model.plain_tokens={a: 1}", "model.plain_tokens: it takes a list of text"),
        ("algorithm.game.task_types.0=x", "algorithm.game.task_types: it takes a list of text"),
        ("learner.freeze[0]=x", "learner.freeze: it takes a list of text"),
        ("algorithm.game.task_types=[[a]]", "algorithm.game.task_types[0]: it takes text, not a list"),
        ("safety.detectors=x", "safety.detectors: it takes a list of text, as in [one, another], not a single value"),
        ("safety.patterns.a.b=x", "safety.patterns.a: it takes text, not keys with values"),
        ("rollout.engine_arguments.a.b=3", "rollout.engine_arguments.a: it takes text, not keys with values"),
        ("algorithm.proposer_reward.terms=[1]", "terms: it takes names, each with keys of its own"),
        ("algorithm.proposer_reward.terms.a=3", "terms.a: it takes keys of its own, not a single value"),
        ("algorithm.proposer_reward.terms={a: [1]}", "terms.a: it takes keys of its own, not a list"),
        ("algorithm.proposer_reward.terms.a.options=[1]", "terms.a.options: it takes names, each with a value"),
        ("algorithm.rating.trained=[1]", "algorithm.rating.trained: it takes true or false, not a list"),
        ("algorithm.loss.dual_clip.x=1", "algorithm.loss.dual_clip: it takes a number, not keys with values"),
        ("run.name.a=1", "run.name: it takes text, not keys with values"),
    ],
)
def test_a_list_or_a_mapping_in_the_wrong_place_is_refused_with_what_the_key_takes(override: str, told: str) -> None:
    assert f"{override}: " in _told(overrides=[override])
    assert told in _told(overrides=[override])


def test_so_it_is_in_a_file(tmp_path: Path) -> None:
    path = _file(tmp_path, "safety: {patterns: [a]}")
    assert f"{path}: safety.patterns: it takes names, each with text" in _told([path])


def test_lists_and_mappings_may_be_references_and_options_of_terms_may_hold_either() -> None:
    options = "algorithm.proposer_reward.terms.mine.options={a: {b: 1}, c: [2]}"
    config = load([], ["sandbox.options=${rollout.engine_arguments}", "learner.freeze=${model.plain_tokens}", options])
    assert (config.sandbox.options, config.learner.freeze) == ({}, [])
    assert config.algorithm.proposer_reward.terms["mine"].options == {"a": {"b": 1}, "c": [2]}


@pytest.mark.parametrize(
    "override", ["run.name=o\udcff", "run.folder=/\udcff", "safety.patterns.\udcff=a", "learner.freeze=['\udcff']"]
)
def test_an_override_that_is_not_utf_8_is_refused_for_it_could_be_shown_and_written_nowhere(override: str) -> None:
    assert f"{override!r} is not UTF-8" in _told(overrides=[override])


def test_a_number_too_long_to_be_read_is_refused() -> None:
    assert "run.seed=9" in _told(overrides=[f"run.seed={'9' * 5000}"])


def test_a_section_cannot_be_set_to_a_value() -> None:
    assert "'run' is a section" in _told(overrides=["run=3"])


@pytest.mark.parametrize("override", ["run.seed", "=7", "seven"])
def test_what_is_no_override_is_refused(override: str) -> None:
    assert "is not an override" in _told(overrides=[override])


@pytest.mark.parametrize("override", ["run.seed=[", "run.seed={a: 1", "run.seed='", "safety.detectors=[a"])
def test_an_override_that_is_not_yaml_is_refused(override: str) -> None:
    assert override in _told(overrides=[override])


@pytest.mark.parametrize("text", ["- a\n- b", "just words", "run: {seed: 1", "a: 1\na: 2", "\x00"])
def test_a_file_that_holds_no_keys_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = _file(tmp_path, text)
    assert path in _told([path])


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    assert "did you mean 'algorithm/paper'" in _told(overrides=["algorithm=papr"])
    assert "did you mean 'algorithm/paper'" in _told(["algorithm/papers"])


def test_a_file_that_is_not_there_is_told() -> None:
    assert "nowhere.yaml" in _told(["nowhere.yaml"])


def test_an_include_that_is_no_list_is_refused(tmp_path: Path) -> None:
    assert "include" in _told([_file(tmp_path, "include: algorithm/paper")])


def test_a_reference_to_a_key_that_is_not_there_is_told() -> None:
    assert "run.nothing" in _told(overrides=["run.name=${run.nothing}"])


def test_all_combinations_that_may_not_be_are_told_at_once() -> None:
    told = _told(overrides=["algorithm.loss.name=pop", "algorithm.batch.replay_share=2"])
    assert "algorithm.loss.name" in told
    assert "algorithm.batch.replay_share" in told


def test_the_resolved_configuration_loads_to_itself(tmp_path: Path) -> None:
    config = load([], ["algorithm=paper", "run.seed=9", "algorithm.optimiser.lr=3e-7"])
    path = write_resolved(config, tmp_path / "new" / "folder")
    assert path.name == "config.yaml"
    assert path.read_text() == resolved_yaml(config)
    assert load([str(path)]) == config


def test_every_key_can_be_named_and_found() -> None:
    keys = known_keys()
    assert len(keys) == len(set(keys))
    assert {"run", "run.seed", "algorithm.loss.clip_low"} <= set(keys)


def test_a_bare_off_is_the_word_where_a_key_takes_words(tmp_path: Path) -> None:
    """YAML reads it as false, and MLflow was then looked for in a folder of that name."""
    assert load([], ["tracking.mlflow=off"]).tracking.mlflow == "off"
    path = tmp_path / "my.yaml"
    path.write_text("tracking: {mlflow: off}\n")
    assert load([str(path)]).tracking.mlflow == "off"
    assert load([], ["tracking.tensorboard=on"]).tracking.tensorboard is True


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("run: {name: no}", "run.name"),
        ("safety: {detectors: [mine, off]}", "safety.detectors[1]"),
        ("safety: {patterns: {doubt: yes}}", "safety.patterns.doubt"),
    ],
)
def test_any_other_word_that_yaml_takes_for_true_or_false_is_refused_where_text_is_wanted(
    text: str, key: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"it takes text, not (true|false)") as refused:
        load([_file(tmp_path, text)])
    assert f": {key}: " in refused.value.what
    assert "put the word in quotes" in refused.value.mend


def test_arguments_of_engines_are_yaml_that_is_read_once_more(tmp_path: Path) -> None:
    path = _file(tmp_path, "rollout: {engine_arguments: {a: false, b: 1e-6}}")
    assert load([path]).rollout.engine_arguments == {"a": "False", "b": "1e-06"}


def test_options_of_a_sandbox_go_with_the_back_end_they_were_given_for(tmp_path: Path) -> None:
    """A preset's would be refused by any other back end, and no override can take a name out of a mapping."""

    def options(*overrides: str, file: str = "") -> dict[str, object]:
        (tmp_path / "my.yaml").write_text(file)
        return load(["tiny", str(tmp_path / "my.yaml")] if file else ["tiny"], overrides).sandbox.options

    own = "sandbox.options.allow_unconfined=true"
    assert options("sandbox.workers=1") == options("sandbox.backend=wasm") == {"instances": "restored"}
    assert options("sandbox.backend=process") == options(file="sandbox: {backend: process}") == {}
    for words in (["sandbox.backend=process", own], [own, "sandbox.backend=process"]):
        assert options(*words) == {"allow_unconfined": True}
    kept = "sandbox: {backend: process, options: {allow_unconfined: 'true'}}"
    assert options("sandbox.workers=1", file=kept) == {"allow_unconfined": "true"}
    assert options("sandbox.backend=wasm", file=kept) == {}


def test_options_of_a_sandbox_are_text_numbers_booleans_or_nothing() -> None:
    """They travel to its workers, and a plug-in that takes a number shall not have to read it."""
    given = "sandbox.options={url: 'http://here', port: 8000, share: 0.5, strict: true, log: null, build: '7'}"
    assert load([], [given]).sandbox.options == {
        "url": "http://here", "port": 8000, "share": 0.5, "strict": True, "log": None, "build": "7",
    }  # fmt: skip
    for wrong, told in (("[1]", "it is a list"), ("{b: 1}", "it is a dict")):
        assert f"sandbox.options.a: {told} (give text, a number, true, false or null)" in _told(
            overrides=[f"sandbox.options.a={wrong}"]
        )


def test_overrides_change_a_copy_of_a_configuration_that_was_made_by_hand() -> None:
    made = Config()
    made.rollout.max_sequences = 7
    other = changed(made, ["rollout.replicas=3", "sandbox.options={instances: restored}"])
    assert (other.rollout.max_sequences, other.rollout.replicas) == (7, 3)
    assert other.sandbox.options == {"instances": "restored"}
    assert made.rollout.replicas == Config().rollout.replicas
    with pytest.raises(ConfigError, match=r"did you mean 'rollout\.replicas'"):
        changed(made, ["rollout.replica=3"])
