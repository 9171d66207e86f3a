"""Policy-gradient losses, one file each; `learner.losses.registry` finds them by name."""
