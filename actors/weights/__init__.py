"""Weights on their way from the learner to the engines.

records.py       what registry, publisher and replicas tell each other
fingerprint.py   a checksum of tensors
folders.py       the folder in which a run's versions lie
book.py          what the registry knows, as a state machine
registry.py      the actor that owns the newest versions and knows who serves
setbacks.py      how often a transport that fails is asked again
publisher.py     the learner's side: registry first, then everybody, then compared
transports/      how the bytes travel: shm, disk, gloo, nccl, ipc
"""
