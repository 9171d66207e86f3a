"""The process back end: every way a child can end, what it cannot reach, and that nothing is left behind."""
