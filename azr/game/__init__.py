"""The rules of Absolute Zero: pure code that knows nothing of Ray, torch or vLLM."""
