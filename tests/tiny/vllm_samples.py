"""Run as a process of its own: samples of a model folder by vLLM's CPU engine, as JSON on stdout.

Usage: vllm_samples.py FOLDER < prompts as a JSON list. The environment must be set before vLLM is imported.
"""

from __future__ import annotations

import json
import os
import sys

os.environ |= {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "TORCH_COMPILE_DISABLE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}


def main() -> None:
    from vllm import LLM, SamplingParams

    engine = LLM(
        model=sys.argv[1],
        dtype="float32",
        enforce_eager=True,
        kv_cache_memory_bytes=32 << 20,
        max_model_len=512,
        max_num_seqs=64,
        logprobs_mode="processed_logprobs",
        seed=0,
    )
    prompts = json.load(sys.stdin)
    answers = {}
    for name, temperature in (("greedy", 0.0), ("sampled", 1.0)):
        settings = SamplingParams(temperature=temperature, max_tokens=64, logprobs=0, seed=1)
        answers[name] = [
            {
                "prompt_ids": output.prompt_token_ids,
                "response_ids": list(output.outputs[0].token_ids),
                "text": output.outputs[0].text,
                "logprobs": [
                    step[token].logprob
                    for step, token in zip(output.outputs[0].logprobs, output.outputs[0].token_ids, strict=True)
                ],
            }
            for output in engine.generate(prompts, settings, use_tqdm=False)
        ]
    sys.stdout.write("\n" + json.dumps(answers) + "\n")
    sys.stdout.flush()
    os._exit(0)  # the engine's own shutdown takes seconds and has nothing to save


if __name__ == "__main__":
    main()
