"""Weights on their way from the learner to the engines.

fingerprint.py   a checksum of tensors
registry.py      the actor that owns the newest versions and knows who serves
publisher.py     the learner's side: registry first, then everybody, then compared
transports/      how the bytes travel: shm, disk, gloo, nccl, ipc
"""
