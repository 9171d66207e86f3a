"""The learner: from a batch of trajectories to new weights.

    packing ──► model + attention ──► log-prob head ──► corrections ──► loss ──► aggregation ──► gradient

Each part is a folder or a file of its own; losses and corrections are pure functions of flat tensors that know nothing
of models, ranks or micro-batches.
"""
