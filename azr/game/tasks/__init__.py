"""The task types, and the registry in which each has one line; those of other packages come as plug-ins."""

from __future__ import annotations

from azr.errors import ConfigError
from azr.game.tasks.abduction import Abduction
from azr.game.tasks.base import Ask, Style, TaskType
from azr.game.tasks.composite import Composite
from azr.game.tasks.deduction import Deduction
from azr.game.tasks.error import ErrorPrediction
from azr.game.tasks.induction import Induction
from azr.names import did_you_mean
from azr.plugins import TASKS, load_plugin, plugin_names

__all__ = ["DEFAULT_TASKS", "Ask", "Style", "TaskType", "names", "register", "task_type"]

_TASK_TYPES: dict[str, TaskType] = {}

_KEY = "algorithm.game.task_types"


def register(kind: TaskType) -> TaskType:
    """Make a task type known by its name."""
    if kind.name in _TASK_TYPES:
        raise ValueError(f"a task type called {kind.name!r} is registered already")
    _TASK_TYPES[kind.name] = kind
    return kind


def task_type(name: str) -> TaskType:
    """The task type of that name; a plug-in's is made when it is first asked for."""
    if name in _TASK_TYPES:
        return _TASK_TYPES[name]
    if name not in plugin_names(TASKS):
        raise ValueError(f"no task type is called {name!r}; {did_you_mean(name, names())}")
    make = load_plugin(TASKS, name, _KEY)
    try:
        made: TaskType = make()
        called = made.name
    except Exception as error:
        raise ConfigError(
            f"{_KEY}: {name!r} cannot be made: {type(error).__name__}: {error}", "see azr.game.tasks.base.TaskType"
        ) from error
    if called != name:
        raise ConfigError(
            f"{_KEY}: the task type that is installed as {name!r} calls itself {called!r}",
            f"choose one name for both, its own and that of its entry point in the group {TASKS!r}",
        )
    return register(made)


def names() -> tuple[str, ...]:
    """All registered types, in the order of registration, then plug-ins that nobody has asked for yet."""
    return (*_TASK_TYPES, *(name for name in plugin_names(TASKS) if name not in _TASK_TYPES))


register(Deduction())
register(Abduction())
register(Induction())
register(ErrorPrediction())
register(Composite())

#: What a run plays unless told otherwise.
DEFAULT_TASKS = ("deduction", "abduction", "induction")
