"""Packed attention through real transformers models: sequences see only themselves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    FalconH1Config,
    Gemma2Config,
    GPT2Config,
    GptOssConfig,
    Lfm2Config,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from learner.attention.base import PackedRows
from learner.attention.flash_attention_4 import FlashAttention4
from learner.attention.registry import BACKENDS, IMPLEMENTATION, choose, fitting, install, layout_arguments, survey
from learner.layout import Layout, Tree, layout
from learner.policy import Policy

LENGTHS = (5, 1, 9, 3)
SHAPE = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
}


def model_of(config: object) -> PreTrainedModel:
    install("sdpa")
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation=IMPLEMENTATION).eval()


def rows_of(where: Layout, device: str = "cpu") -> PackedRows:
    places = where.key_places
    return PackedRows(
        torch.from_numpy(where.cumulative_queries).to(device),
        where.longest_queries,
        torch.from_numpy(where.cumulative_keys).to(device),
        where.longest_keys,
        None if places is None else torch.from_numpy(places).to(device),
    )


def row(tokens: torch.Tensor, trees: list[Tree]) -> dict[str, object]:
    """One packed row in the form the model takes."""
    where = layout(trees)
    positions = torch.from_numpy(where.positions)[None]
    return {"input_ids": tokens[None], "position_ids": positions, **layout_arguments(rows_of(where))}


def packed(sequences: list[torch.Tensor]) -> dict[str, object]:
    """One row holding all sequences."""
    return row(torch.cat(sequences), [Tree(len(sequence)) for sequence in sequences])


@pytest.mark.parametrize("config", [Qwen2Config, Qwen3Config, LlamaConfig], ids=["qwen2", "qwen3", "llama"])
def test_packed_logits_equal_those_of_each_sequence_alone(config: Callable[..., object]) -> None:
    model = model_of(config(**SHAPE))
    generator = torch.Generator().manual_seed(1)
    sequences = [torch.randint(0, 50, (length,), generator=generator) for length in LENGTHS]
    with torch.no_grad():
        together = model(**packed(sequences)).logits[0]
        model.set_attn_implementation("eager")
        alone = torch.cat([model(input_ids=sequence[None]).logits[0] for sequence in sequences])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("config", [Qwen2Config, Qwen3Config, LlamaConfig], ids=["qwen2", "qwen3", "llama"])
def test_responses_that_share_a_prompt_have_the_logits_of_each_alone_behind_it(config: Callable[..., object]) -> None:
    """Lengths on both sides of a bucket's border, and one tree without branches between."""
    model = model_of(config(**SHAPE))
    generator = torch.Generator().manual_seed(2)

    def drawn(length: int) -> torch.Tensor:
        return torch.randint(0, 50, (length,), generator=generator)

    prompt, other = drawn(30), drawn(3)
    responses, others = [drawn(length) for length in (1, 5, 19, 2)], [drawn(4), drawn(4)]
    alone = drawn(7)
    trees = [Tree(30, (1, 5, 19, 2)), Tree(7), Tree(3, (4, 4))]
    with torch.no_grad():
        logits = model(**row(torch.cat([prompt, *responses, alone, other, *others]), trees)).logits[0]
        model.set_attn_implementation("eager")

        def of(*parts: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = model(input_ids=torch.cat(parts)[None]).logits[0]
            return found

        expected = [of(prompt), *(of(prompt, response)[30:] for response in responses), of(alone)]
        expected += [of(other), *(of(other, response)[3:] for response in others)]
    torch.testing.assert_close(logits, torch.cat(expected), atol=1e-5, rtol=1e-5)


def test_gradients_of_a_shared_prompt_are_the_sum_of_its_responses() -> None:
    model = model_of(Qwen2Config(**SHAPE))
    prompt, first, second = torch.arange(6), torch.arange(20, 24), torch.arange(30, 32)

    def gradients(*outputs: torch.Tensor) -> list[torch.Tensor]:
        squares = sum((output.square().sum() for output in outputs), torch.zeros(()))
        return list(torch.autograd.grad(squares, list(model.parameters())))

    shared = model(**row(torch.cat([prompt, first, second]), [Tree(6, (4, 2))])).logits[0]
    separate = [model(**packed([torch.cat([prompt, response])])).logits[0][6:] for response in (first, second)]
    for one, other in zip(gradients(shared[6:]), gradients(*separate), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_changing_one_sequence_changes_no_other() -> None:
    model = model_of(Qwen2Config(**SHAPE))
    first, second = torch.arange(6), torch.arange(10, 14)
    with torch.no_grad():
        before = model(**packed([first, second])).logits[0]
        after = model(**packed([first + 20, second])).logits[0]
    torch.testing.assert_close(before[6:], after[6:])
    assert not torch.allclose(before[:6], after[:6])


def test_gradients_flow_and_equal_those_of_the_sequences_alone() -> None:
    model = model_of(Qwen2Config(**SHAPE))
    sequences = [torch.arange(4), torch.arange(20, 27)]

    def gradients(outputs: torch.Tensor) -> list[torch.Tensor]:
        return [g.clone() for g in torch.autograd.grad(outputs.square().sum(), list(model.parameters()))]

    together = gradients(model(**packed(sequences)).logits[0])
    alone = gradients(torch.cat([model(**packed([sequence])).logits[0] for sequence in sequences]))
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_a_call_without_the_layout_is_refused() -> None:
    model = model_of(Qwen2Config(**SHAPE))
    with pytest.raises(ValueError, match="without cu_seq_lens_q"):
        model(input_ids=torch.arange(5)[None])


def test_a_model_with_attention_sinks_is_refused() -> None:
    model = model_of(
        GptOssConfig(
            **{**SHAPE, "num_local_experts": 2, "num_experts_per_tok": 1, "layer_types": ["full_attention"] * 2}
        )
    )
    with pytest.raises(ValueError, match=r"attention has sinks \(s_aux\)"):
        model(**packed([torch.arange(5)]))


def test_a_model_that_caps_its_scores_is_refused_and_without_a_cap_it_is_not() -> None:
    layers = ["full_attention"] * 2
    with pytest.raises(ValueError, match=r"attention has capped scores \(softcap\)"):
        model_of(Gemma2Config(**SHAPE, layer_types=layers, attn_logit_softcapping=50.0))(**packed([torch.arange(5)]))
    uncapped = model_of(Gemma2Config(**SHAPE, layer_types=layers, attn_logit_softcapping=None))
    assert uncapped(**packed([torch.arange(5)])).logits.shape == (1, 5, SHAPE["vocab_size"])


def test_a_model_whose_layers_are_elsewhere_is_refused_with_what_is_needed() -> None:
    model = model_of(GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4, n_positions=64))
    with pytest.raises(ValueError, match=r"GPT2LMHeadModel cannot be trained: .*GPT2Model, .*named `layers`"):
        Policy(model)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (Lfm2Config(**SHAPE, layer_types=["conv", "full_attention"], conv_L_cache=3), "conv"),
        (FalconH1Config(**SHAPE, mamba_d_ssm=32, mamba_n_heads=4, mamba_d_state=8), "hybrid"),
    ],
    ids=["convolutions", "state-spaces"],
)
def test_a_model_in_which_tokens_meet_by_more_than_attention_is_refused(config: PretrainedConfig, kind: str) -> None:
    """Nothing would cut that state between packed responses: log-probs would be those of another text."""
    with pytest.raises(ValueError, match=f"cannot be trained: in its layers of {kind} tokens meet otherwise"):
        Policy(model_of(config))


def test_the_survey_names_every_back_end_with_its_reason() -> None:
    said = survey()
    assert list(said) == ["flash_attention_3", "flash_attention_4", "flash_attention_2", "torch_varlen", "sdpa"]
    assert said["sdpa"] is None
    assert all(reason is None or reason.startswith("needs ") for reason in said.values())


def test_the_best_that_can_run_is_chosen() -> None:
    best = next(name for name, reason in survey().items() if reason is None)
    assert choose("auto").name == best


def test_one_that_cannot_run_is_refused_with_its_reason() -> None:
    for name, reason in survey().items():
        if reason is not None:
            with pytest.raises(ValueError, match=f"{name}' cannot run here: needs"):
                choose(name)


def test_an_unknown_one_is_refused_with_the_known() -> None:
    with pytest.raises(ValueError, match="known: auto, flash_attention_3"):
        choose("magic")


@pytest.mark.parametrize(
    ("name", "device", "dtype", "taken"),
    [
        ("auto", "cuda", torch.bfloat16, "auto"),
        ("auto", "cuda", torch.float32, "sdpa"),
        ("auto", "cpu", torch.bfloat16, "sdpa"),
        ("torch_varlen", "cuda", torch.bfloat16, "torch_varlen"),
    ],
)
def test_auto_is_the_reference_where_kernels_for_cards_would_not_do(
    name: str, device: str, dtype: torch.dtype, taken: str
) -> None:
    assert fitting(name, torch.device(device), dtype) == taken


class TestPackagesOnAGpu:
    """What is said of packages where the device would do; they are made up, in a folder of their own."""

    @pytest.fixture(autouse=True)
    def ampere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
        for name in [name for name in sys.modules if name.split(".")[0] == "flash_attn"]:
            monkeypatch.delitem(sys.modules, name)

    @pytest.fixture
    def packages(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        monkeypatch.syspath_prepend(tmp_path)
        yield tmp_path
        for name in [name for name in sys.modules if name.split(".")[0] == "flash_attn"]:
            del sys.modules[name]

    @staticmethod
    def write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_a_build_against_another_torch_says_so_and_auto_takes_the_next(self, packages: Path) -> None:
        self.write(packages / "flash_attn/__init__.py", "raise ImportError('undefined symbol:\\n _ZN3c10')")
        assert survey()["flash_attention_2"] == (
            "needs the package flash-attn (in the gpu extra); the one here fails with "
            "ImportError: undefined symbol: _ZN3c10"
        )
        assert choose("auto").name == "torch_varlen"

    def test_flash_attn_4_alone_does_not_pass_for_version_2(self, packages: Path) -> None:
        self.write(packages / "flash_attn/cute/__init__.py", "def flash_attn_varlen_func(): ...")
        assert survey()["flash_attention_2"] == "needs the package flash-attn (in the gpu extra)"
        assert survey()["flash_attention_4"] == "needs compute capability 9.0, the device has 8.0"

    @pytest.mark.parametrize(
        ("capability", "reason"), [((9, 0), None), ((10, 0), "needs compute capability 9.x, the device has 10.0")]
    )
    def test_version_3_is_for_one_generation_of_devices_and_not_for_the_next(
        self, packages: Path, monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], reason: str | None
    ) -> None:
        """Its module is imported there all the same, and the first step would fail."""
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
        monkeypatch.delitem(sys.modules, "flash_attn_interface", raising=False)
        self.write(packages / "flash_attn_interface.py", "def flash_attn_varlen_func(): ...")
        assert survey()["flash_attention_3"] == reason
        sys.modules.pop("flash_attn_interface", None)

    def test_what_a_package_itself_lacks_is_named(self, packages: Path) -> None:
        self.write(packages / "flash_attn/__init__.py", "")
        self.write(packages / "flash_attn/flash_attn_interface.py", "import einops_of_another_age")
        said = survey()["flash_attention_2"]
        assert said is not None
        assert said.endswith("fails with ModuleNotFoundError: No module named 'einops_of_another_age'")

    def test_one_that_has_the_kernels_can_run(self, packages: Path) -> None:
        self.write(packages / "flash_attn/__init__.py", "")
        self.write(packages / "flash_attn/flash_attn_interface.py", "def flash_attn_varlen_func(): ...")
        assert survey()["flash_attention_2"] is None

    def test_nothing_is_imported_for_a_device_that_is_too_old(
        self, packages: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
        self.write(packages / "flash_attn/__init__.py", "raise SystemExit('imported')")
        assert survey()["flash_attention_2"] == "needs compute capability 8.0, the device has 7.5"


#: Four plain sequences; and two of them, a prompt with two responses to it, and one more.
ROWS = {"alone": [Tree(length) for length in LENGTHS], "shared": [Tree(5), Tree(6, (3, 1)), Tree(3)]}


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("kind", ROWS)
def test_each_back_end_agrees_with_the_reference(backend: object, width: int, kind: str) -> None:
    """In the dtype the back end is made for; those that need a device this machine lacks are skipped by name."""
    reason = backend.unavailable()  # type: ignore[attr-defined]
    if reason is not None:
        pytest.skip(f"{backend.name} {reason}")  # type: ignore[attr-defined]
    name = backend.name  # type: ignore[attr-defined]
    device, dtype = ("cpu", torch.float32) if name == "sdpa" else ("cuda", torch.bfloat16)
    generator = torch.Generator().manual_seed(0)

    def heads(count: int) -> torch.Tensor:
        return torch.randn(sum(LENGTHS), count, width, generator=generator).to(device, dtype).requires_grad_()

    query, key, value = heads(4), heads(2), heads(2)
    output = choose(name).attend(query, key, value, rows_of(layout(ROWS[kind]), device), width**-0.5)
    visible = visible_in(ROWS[kind]).to(device)
    expected = dense_reference(query.float(), key.float(), value.float(), visible, width**-0.5)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(output.float(), expected, atol=tolerance, rtol=tolerance)
    probe = torch.randn(output.shape, generator=generator).to(device)
    gradients = torch.autograd.grad((output.float() * probe).sum(), (query, key, value), retain_graph=True)
    wanted = torch.autograd.grad((expected * probe).sum(), (query, key, value))
    for one, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one.float(), other.float(), atol=5 * tolerance, rtol=5 * tolerance)


def visible_in(trees: list[Tree]) -> torch.Tensor:
    """[tokens, tokens]: whether the one sees the other, from what a tree is."""
    tokens = []  # of each: tree, branch (0 is the trunk), place
    for number, tree in enumerate(trees):
        for branch, length in enumerate((tree.trunk, *tree.branches)):
            tokens += [(number, branch, place) for place in range(length)]
    return torch.tensor(
        [
            [
                one[0] == other[0] and (other[1] == 0 < one[1] or (other[1] == one[1] and other[2] <= one[2]))
                for other in tokens
            ]
            for one in tokens
        ]
    )


def dense_reference(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, visible: torch.Tensor, scale: float
) -> torch.Tensor:
    """Attention with one dense mask over the whole row, from the definition."""
    repeats = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
    scores = torch.einsum("qhd,khd->hqk", query, key) * scale
    weights = scores.masked_fill(~visible, -torch.inf).softmax(-1)
    return torch.einsum("hqk,khd->qhd", weights, value)


#: The plain sequences as one packed row, for what stands in for kernels.
ROW, SCALE = rows_of(layout(ROWS["alone"])), 8.0**-0.5


class TestFlashAttention4InCompiledLayers:
    """Its kernels are operators of torch's, so that nothing looks into them; here other kernels stand in for them."""

    @pytest.fixture(autouse=True)
    def kernels(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Arithmetic whose place is seen in the results, where the package has kernels; returns which were called."""
        called: list[str] = []

        def forward(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **_options: object) -> object:
            called.append("forward")
            tokens, heads, _width = query.shape
            output = query + key.mean() * value.mean()
            return output, torch.full((heads, tokens), 7.0), None, None, None

        def backward(*given: torch.Tensor, **_options: object) -> object:
            called.append("backward")
            query, key, value, _output, slope, normaliser, _scale, _causal = given
            return slope * 2.0 + query * normaliser.mean(), key * 3.0, value * 5.0

        interface = ModuleType("flash_attn.cute.interface")
        interface.__dict__.update(_flash_attn_fwd=forward, _flash_attn_bwd=backward)
        for name in ("flash_attn", "flash_attn.cute"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, "flash_attn.cute.interface", interface)
        return called

    @staticmethod
    def inputs() -> list[torch.Tensor]:
        """Queries of four heads, keys and values of two, not contiguous, as a model's views are."""
        generator = torch.Generator().manual_seed(3)
        return [
            torch.randn(count, sum(LENGTHS), 8, generator=generator).transpose(0, 1).requires_grad_()
            for count in (4, 2, 2)
        ]

    def test_values_and_gradients_come_from_its_kernels(self, kernels: list[str]) -> None:
        query, key, value = self.inputs()
        output = FlashAttention4().attend(query, key, value, ROW, SCALE)
        torch.testing.assert_close(output, query + key.mean() * value.mean())
        slope = torch.arange(output.numel(), dtype=output.dtype).view_as(output)
        gradients = torch.autograd.grad(output, (query, key, value), slope)
        assert kernels == ["forward", "backward"]
        for gradient, wanted in zip(gradients, (slope * 2.0 + query * 7.0, key * 3.0, value * 5.0), strict=True):
            torch.testing.assert_close(gradient, wanted)

    def test_torch_finds_nothing_wrong_with_the_operators(self) -> None:
        query, key, value = self.inputs()
        arguments = (query, key, value, ROW.cumulative, ROW.cumulative_keys, ROW.longest, ROW.longest_keys, SCALE)
        torch.library.opcheck(torch.ops.azr.flash_attention_4.default, arguments)

    def test_a_graph_holds_it_whole(self, kernels: list[str]) -> None:
        def layer(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
            return FlashAttention4().attend(query * 2.0, key, value, ROW, SCALE).sum()

        total = torch.compile(layer, backend="aot_eager", fullgraph=True)(*self.inputs())
        total.backward()  # type: ignore[no-untyped-call]
        assert kernels == ["forward", "backward"]
