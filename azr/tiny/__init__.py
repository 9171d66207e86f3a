"""The embedded default: a small world of typed programs, and the tiny base model that is pretrained on it.

    grammar ──► world (run in the sandbox, split) ──► corpus (six cells, compact prompts) ──► pretraining ──► evaluation

Everything here can be made again by `azr tiny`; what it made is shipped as package data.
"""
