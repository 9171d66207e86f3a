"""Small trusted programs of our own, of the kind a model proposes, for benchmarks.

      short_text.py short_data.py ──────────────────────────────────────────┐
      strings.py lists.py mappings.py numbers.py recursion.py classes.py ──┴─► make.py ──► {short, long, sample}.jsonl

Each module holds templates; `python -m benchmarks.programs.make` writes them out, filled in, as `azr exec` input.
"""
