"""The learner: losses, packing, attention, log-prob head and the Ray Train loop."""
