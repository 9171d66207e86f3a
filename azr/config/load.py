"""Composes a configuration: defaults, then presets and files, then overrides, each checked against the typed sections.

Called by every command that takes a configuration. Later wins:

      dataclass defaults  <  --config tiny  <  --config my.yaml  <  algorithm=paper  <  algorithm.clip_low=0.1
                             preset            file                 group choice       dotted override

Group choices and dotted overrides are applied in the order given. An unknown key is refused with the nearest known one,
a value of the wrong type with its key, and both with the place they came from.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from azr import files
from azr.config.presets import groups, preset_path
from azr.config.root import Config
from azr.errors import ConfigError
from azr.names import did_you_mean

#: The key under which a preset or file names the presets it builds on.
INCLUDE = "include"


class Layer(NamedTuple):
    """A partial configuration and where it came from, for error messages."""

    origin: str
    values: dict[str, Any]


def load(configs: Sequence[str] = (), overrides: Sequence[str] = ()) -> Config:
    """The configuration that these preset names, YAML files and `key=value` overrides compose."""
    merged = OmegaConf.structured(Config)
    for layer in _layers(configs, overrides):
        merged = _merge(merged, layer)
    try:
        return typing.cast(Config, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise ConfigError(_first_line(error), "azr config reference says what the key takes") from error


def resolved_yaml(config: Config) -> str:
    """The whole configuration as YAML, every key with its value; loading it again gives the same configuration."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def write_resolved(config: Config, folder: Path) -> Path:
    """Write `config.yaml` into a run's folder, as one act."""
    path = folder / "config.yaml"
    files.write_text(path, resolved_yaml(config))
    return path


def known_keys(section: type[Any] = Config, prefix: str = "") -> list[str]:
    """Dotted names of every key, sections included, in order of declaration."""
    keys: list[str] = []
    hints = typing.get_type_hints(section)
    for field in dataclasses.fields(section):
        keys.append(prefix + field.name)
        if dataclasses.is_dataclass(kind := hints[field.name]):
            keys += known_keys(typing.cast(type[Any], kind), f"{prefix}{field.name}.")
    return keys


def _layers(configs: Sequence[str], overrides: Sequence[str]) -> Iterator[Layer]:
    for name in configs:
        yield from _named(name)
    choices = groups()
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"{text!r} is not an override", "write key=value, for example run.seed=7")
        if key in choices:
            yield from _read(preset_path(f"{key}/{value}"), f"{key}={value}", ())
        else:
            yield Layer(text, _keys_of(lambda: OmegaConf.from_dotlist([text]), text))  # noqa: B023 - called at once


def _named(name: str) -> Iterator[Layer]:
    """Layers of a preset by name, or of a file by path (anything that ends in .yaml or .yml)."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise ConfigError(f"there is no file {name}", "give an existing YAML file, or the name of a preset")
        yield from _read(path, name, ())
    else:
        yield from _read(preset_path(name), f"preset {name}", ())


def _read(path: Path, origin: str, within: tuple[str, ...]) -> Iterator[Layer]:
    """The layers of a file: those it includes, then its own."""
    if origin in within:
        raise ConfigError(f"{' includes '.join([*within, origin])}", "break the circle of includes")
    values = _keys_of(lambda: OmegaConf.load(path), origin)
    included = values.pop(INCLUDE, [])
    if not isinstance(included, list):
        raise ConfigError(f"{INCLUDE} in {origin} is not a list", f"write {INCLUDE}: [algorithm/default]")
    for name in included:
        yield from _read(preset_path(str(name)), f"preset {name}", (*within, origin))
    yield Layer(origin, values)


def _keys_of(read: Callable[[], Any], origin: str) -> dict[str, Any]:
    """What OmegaConf reads, as plain nested dictionaries; interpolations stay as they are until all layers are in."""
    try:
        values = OmegaConf.to_container(read())
    except (yaml.YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError, AttributeError) as error:
        raise ConfigError(
            f"{origin} cannot be read: {error}", "write sections and keys, as in run: {seed: 1}"
        ) from error
    if not isinstance(values, dict):
        raise ConfigError(
            f"{origin} holds a {type(values).__name__}, not keys", "write sections and keys, as in run: {seed: 1}"
        )
    return typing.cast(dict[str, Any], values)


def _merge(config: DictConfig, layer: Layer) -> DictConfig:
    _check_keys(layer.values, Config, layer.origin)
    try:
        return typing.cast(DictConfig, OmegaConf.merge(config, layer.values))
    except OmegaConfBaseException as error:
        key = f"{error.full_key}: " if error.full_key else ""
        raise ConfigError(
            f"{layer.origin}: {key}{_first_line(error)}", "azr config reference says what the key takes"
        ) from error


def _check_keys(values: dict[str, Any], section: type[Any], origin: str, prefix: str = "") -> None:
    """Refuse keys that no section declares, before OmegaConf would with less help."""
    hints = typing.get_type_hints(section)
    for name, value in values.items():
        key = f"{prefix}{name}"
        if name not in hints:
            raise ConfigError(
                f"{origin}: no key is called {key!r}; {_suggestion(key)}", "azr config reference lists all keys"
            )
        if not dataclasses.is_dataclass(kind := hints[name]):
            continue
        if not isinstance(value, dict):
            choices = groups().get(key)
            mend = f"choose one of {', '.join(f'{key}={choice}' for choice in choices)}, or" if choices else "set"
            raise ConfigError(
                f"{origin}: {key!r} is a section, not a key", f"{mend} its keys one by one, as in {key}.NAME=VALUE"
            )
        _check_keys(value, typing.cast(type[Any], kind), origin, f"{key}.")


def _suggestion(key: str) -> str:
    """The nearest key; a bare last part (`workers`) finds its full name (`sandbox.workers`)."""
    known = known_keys()
    by_last = [full for full in known if full.rpartition(".")[2] == key.rpartition(".")[2]]
    return (
        did_you_mean(key, by_last)
        if len(by_last) > 1
        else f"did you mean {by_last[0]!r}?"
        if by_last
        else did_you_mean(key, known)
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
