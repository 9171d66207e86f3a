"""azr: asynchronous actor-learner Absolute Zero self-play."""

__version__ = "0.1.0"
