"""Off-policy corrections, one file each; `learner.corrections.registry` finds them by name."""
