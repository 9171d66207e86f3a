"""A sandbox back end that acts out what a job says, so that a pool can be tested with everything that goes wrong."""

from .backend import RehearsalBackend

__all__ = ["RehearsalBackend"]
