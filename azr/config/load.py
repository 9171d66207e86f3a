"""Composes a configuration: defaults, then presets and files, then overrides, each checked against the typed sections.

Called by every command that takes a configuration. Later wins:

      dataclass defaults  <  --config tiny  <  --config my.yaml  <  algorithm=paper  <  algorithm.loss.clip_low=0.1
                             preset            file                 group choice       dotted override

Group choices and dotted overrides are applied in the order given. An unknown key is refused with the nearest known one,
a value of the wrong type with its key, and both with the place they came from. Values are YAML, but for the text of an
override whose key takes text: it is taken as it stands. A `~` before a path is the home folder. Options of a sandbox go
with the back end they were given for.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from azr import files
from azr.config.presets import groups, preset_folder, preset_path
from azr.config.root import Config
from azr.config.rules import problems
from azr.errors import ConfigError
from azr.names import did_you_mean, nearest

#: The key under which a preset or file names the presets it builds on.
INCLUDE = "include"

#: Keys that take a path, where `~` is the home folder as it is for a shell, which sees none in `run.folder=~/runs`.
_PATHS = ("run.folder", "seeding.file", "model.path", "weights.folder")

#: Text that a bare `on` or `off` may stand for, and text that is read as YAML once more.
_SWITCHES = ("tracking.mlflow",)
_READ_AS_YAML = "rollout.engine_arguments."

_MEND_KEY = "azr config reference lists all keys"
_MEND_VALUE = "azr config reference says what the key takes"
_MEND_LAYOUT = "write sections and keys, as in run: {seed: 1}"
_MEND_QUOTES = "YAML reads bare yes, no, on and off so: put the word in quotes"
_MEND_PROBLEMS = "change the keys named; azr config reference says what each means"


class Layer(NamedTuple):
    """A partial configuration and where it came from, for error messages."""

    origin: str
    values: dict[str, Any]
    preset: str = ""
    """Which preset it is, as in `algorithm/paper`; none for an override or a file of the user's own."""


def load(configs: Sequence[str] = (), overrides: Sequence[str] = ()) -> Config:
    """The configuration that these preset names, YAML files and `key=value` overrides compose, and that may run."""
    config = compose(configs, overrides)
    if found := problems(config):
        raise ConfigError("\n".join(str(problem) for problem in found), _MEND_PROBLEMS)
    return config


def compose(configs: Sequence[str] = (), overrides: Sequence[str] = ()) -> Config:
    """Like `load`, but without asking whether it may run: what a run was begun with may be refused by now, a plug-in
    missing, and be mended by an override."""
    merged = OmegaConf.structured(Config)
    layers = list(_layers(configs))
    for layer in layers:
        merged = _merge(_without_options_of_another(merged, [layer]), layer)
    return _overridden(merged, overrides, layers)


def changed(config: Config, overrides: Sequence[str]) -> Config:
    """A copy of a configuration with `key=value` overrides on top, which presets and files had no part in."""
    return _overridden(OmegaConf.structured(config), overrides)


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
    for name, kind in typing.get_type_hints(section).items():
        keys.append(prefix + name)
        if (inner := section_type(kind)) is not None:
            keys += known_keys(inner, f"{prefix}{name}.")
    return keys


def section_type(kind: Any) -> type[Any] | None:
    """The dataclass behind a field's type, if the field is a section."""
    return kind if isinstance(kind, type) and dataclasses.is_dataclass(kind) else None


def entry_type(kind: Any) -> type[Any] | None:
    """The dataclass of each entry, if the field maps names that users choose to sections."""
    return section_type(typing.get_args(kind)[1]) if typing.get_origin(kind) is dict else None


def _overridden(merged: DictConfig, overrides: Sequence[str], before: Sequence[Layer] = ()) -> Config:
    """The configuration with the words of one command line on top."""
    layers = list(_command_line(overrides))
    _require_chosen([*before, *layers])
    merged = _without_options_of_another(merged, layers)
    for layer in layers:
        merged = _merge(merged, layer)
    return _object(merged)


def _without_options_of_another(merged: DictConfig, layers: Sequence[Layer]) -> DictConfig:
    """What was composed so far, without the sandbox's options if these layers choose another back end than it has.

    It would refuse them, and nothing can take a name out of a mapping again: presets could be run on their own back
    end only. All words of a command line count as one, so that their order does not matter.
    """
    sections = [layer.values.get("sandbox") for layer in layers]
    chosen = [section["backend"] for section in sections if isinstance(section, dict) and "backend" in section]
    before = OmegaConf.to_container(merged)
    assert isinstance(before, dict)
    if chosen and chosen[-1] != before["sandbox"]["backend"]:
        merged.sandbox.options = {}
    return merged


def _require_chosen(layers: Sequence[Layer]) -> None:
    """Refuse a choice without keys of its own after another of its group, whose keys would all stay, and one after a
    narrower one of another group that it would take back, as `algorithm=paper` would an ablation.

    `algorithm=default` names the defaults. It cannot write them out: a model's preset sets some of them otherwise.
    """
    chosen: dict[str, Layer] = {}
    last = {layer.preset.rpartition("/")[0]: layer for layer in layers}
    for layer in layers:
        group, grouped, _ = layer.preset.rpartition("/")
        if not grouped:
            continue
        other = chosen.get(group)
        if other and other.preset != layer.preset and not any(layer.values.values()):
            raise ConfigError(
                f"{layer.origin} would change nothing after {other.origin}: it is what stands where none is chosen",
                f"leave {other.preset} out, of what is included as well",
            )
        for name, earlier in chosen.items():
            # One whose group is chosen once more has its say after all.
            if name != group and earlier is last[name] and (key := _taken_back(earlier, layer)):
                raise ConfigError(
                    f"{layer.origin} would take back {earlier.origin}: it sets {key} otherwise, and the later wins",
                    f"name {layer.preset} before {earlier.preset}",
                )
        chosen[group] = layer


def _taken_back(earlier: Layer, later: Layer) -> str:
    """A key that the earlier choice sets and the later, which sets more keys than it does, sets otherwise."""
    before, after = dict(_leaves(earlier.values)), dict(_leaves(later.values))
    changed = [key for key, value in before.items() if key in after and after[key] != value]
    return changed[0] if changed and len(after) > len(before) else ""


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys with what is no mapping."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _object(merged: DictConfig) -> Config:
    try:
        config = typing.cast(Config, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise ConfigError(_first_line(error), _MEND_VALUE) from error
    for key in _PATHS:
        section, _, name = key.partition(".")
        part = getattr(config, section)
        setattr(part, name, _from_home(key, getattr(part, name)))
    return config


def _from_home(key: str, path: str) -> str:
    if not path.startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError as error:
        raise ConfigError(f"{key}: {path}: {error}", f"write ./{path} for a folder of that name") from error


def _layers(configs: Sequence[str]) -> Iterator[Layer]:
    for name in configs:
        yield from _named(name)


def _command_line(overrides: Sequence[str]) -> Iterator[Layer]:
    choices = groups()
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"{text!r} is not an override", "write key=value, for example run.seed=7")
        if any("\ud800" <= character <= "\udfff" for character in text):  # bytes of a shell that are no text
            raise ConfigError(f"{text!r} is not UTF-8, so it could not be written down", "write it in UTF-8")
        if key in choices:
            yield from _read(preset_path(f"{key}/{value}"), f"{key}={value}", ())
        else:
            yield Layer(text, _keys_of(partial(_override, key, value), text))


def _override(key: str, value: str) -> Any:
    """One key as YAML reads it; where it takes text, the text as it stands, which may look like a number, a list or a
    key of its own (`run.name=0123` in YAML is 83). Quotes around all of it are YAML's, as in `cluster.gpu=''`."""
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    if quoted or _type_of(key) is not str:
        return OmegaConf.from_dotlist([f"{key}={value}"])
    nested: Any = value
    for name in reversed(key.split(".")):
        nested = {name: nested}
    return OmegaConf.create(nested)


def _type_of(key: str) -> Any:
    """The declared type of a key, or of an entry whose name users choose; None for one that nobody declares."""
    kind: Any = Config
    for name in key.split("."):
        if (section := section_type(kind)) is not None:
            kind = typing.get_type_hints(section).get(name)
        elif typing.get_origin(kind) is dict:
            kind = typing.get_args(kind)[1]
        else:
            return None
    return kind


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
    yield Layer(origin, values, _preset(path))


def _preset(path: Path) -> str:
    """The name of the preset that a file is; empty for others."""
    path, folder = path.resolve(), preset_folder().resolve()
    return path.relative_to(folder).with_suffix("").as_posix() if path.is_relative_to(folder) else ""


def _keys_of(read: Callable[[], Any], origin: str) -> dict[str, Any]:
    """What OmegaConf reads, as plain nested dictionaries; interpolations stay as they are until all layers are in."""
    try:
        values = OmegaConf.to_container(read())
    except (yaml.YAMLError, OmegaConfBaseException, OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{origin} cannot be read: {error}", _MEND_LAYOUT) from error
    if not isinstance(values, dict):
        raise ConfigError(f"{origin} holds a {type(values).__name__}, not keys", _MEND_LAYOUT)
    return typing.cast(dict[str, Any], values)


def _merge(config: DictConfig, layer: Layer) -> DictConfig:
    _check_keys(layer.values, Config, layer.origin)
    try:
        return typing.cast(DictConfig, OmegaConf.merge(config, _as_words(layer.values, Config)))
    except OmegaConfBaseException as error:
        key = f"{error.full_key}: " if error.full_key else ""
        raise ConfigError(f"{layer.origin}: {key}{_first_line(error)}", _MEND_VALUE) from error


def _as_words(values: dict[str, Any], section: type[Any]) -> dict[str, Any]:
    """YAML takes a bare `off` for false; where a key takes the word, it was meant. Elsewhere it was refused before."""
    hints = typing.get_type_hints(section)
    return {
        name: _as_words(value, inner)
        if (inner := section_type(hints[name])) is not None
        else ("on" if value else "off")
        if isinstance(value, bool) and hints[name] is str
        else value
        for name, value in values.items()
    }


def _check_keys(values: dict[str, Any], section: type[Any], origin: str, prefix: str = "") -> None:
    """Refuse keys that no section declares, before OmegaConf would with less help."""
    hints = typing.get_type_hints(section)
    for name, value in values.items():
        key = f"{prefix}{name}"
        if name not in hints:
            if "." in str(name):  # an override's is taken apart at its dots
                raise ConfigError(f"{origin}: no key is called {key!r}: in a file keys are nested", _MEND_LAYOUT)
            unknown = f"{origin}: no key is called {key!r}; {_suggestion(str(name), prefix, hints)}"
            raise ConfigError(unknown, _MEND_KEY)
        if (inner := section_type(hints[name])) is not None:
            if not isinstance(value, dict):
                choices = [f"{key}={choice}" for choice in groups().get(key, ())]
                mend = f"choose one of {', '.join(choices)}, or set" if choices else "set"
                raise ConfigError(f"{origin}: {key!r} is a section", f"{mend} its keys one by one: {key}.NAME=VALUE")
            _check_keys(value, inner, origin, f"{key}.")
            continue
        _check_kind(value, hints[name], origin, key)
        if (inner := entry_type(hints[name])) is not None and isinstance(value, dict):
            for entry, content in value.items():
                if isinstance(content, dict):
                    _check_keys(content, inner, origin, f"{key}.{entry}.")


def _check_kind(value: Any, kind: Any, origin: str, key: str) -> None:
    """Refuse a list or a mapping where the key takes neither or the other, of which OmegaConf tells little or nothing,
    and a boolean where it takes text, of which OmegaConf would make `False`, though `no` or `off` was written.
    Whether a single value fits its key is left to OmegaConf, and so is what a reference to another key stands for."""
    if kind is Any or value is None or (isinstance(value, str) and "${" in value):
        return
    if kind is str and isinstance(value, bool) and key not in _SWITCHES and not key.startswith(_READ_AS_YAML):
        raise ConfigError(f"{origin}: {key}: it takes text, not {str(value).lower()}", _MEND_QUOTES)
    wanted = dict if section_type(kind) else typing.get_origin(kind)
    if wanted not in (dict, list):
        wanted = None
    given = type(value) if isinstance(value, (dict, list)) else None
    if given is not wanted:
        what = "a list" if given is list else "keys with values" if given is dict else "a single value"
        raise ConfigError(f"{origin}: {key}: it takes {_words(kind)}, not {what}", _MEND_VALUE)
    if isinstance(value, list):
        for place, entry in enumerate(value):
            _check_kind(entry, typing.get_args(kind)[0], origin, f"{key}[{place}]")
    elif isinstance(value, dict) and not section_type(kind):
        for name, entry in value.items():
            _check_kind(entry, typing.get_args(kind)[1], origin, f"{key}.{name}")


def _words(kind: Any) -> str:
    """What a key takes, for a person."""
    if (container := typing.get_origin(kind)) in (dict, list):
        entry = typing.get_args(kind)[-1]
        if container is list:
            return f"a list of {_words(entry)}, as in [one, another]"
        each = "a value" if entry is Any else _words(entry)
        return f"names, each with {each}, as in {{name: value}}"
    if section_type(kind):
        return "keys of its own"
    return {str: "text", bool: "true or false", int: "a whole number"}.get(kind, "a number")


def _suggestion(name: str, prefix: str, siblings: Iterable[str]) -> str:
    """The nearest key of the same section, else the only one that ends so (`workers` finds `sandbox.workers`)."""
    if (close := nearest(name, siblings)) is not None:
        return f"did you mean {prefix + close!r}?"
    known = known_keys()
    same_name = [key for key in known if key.rpartition(".")[2] == name]
    return did_you_mean(prefix + name, same_name or known)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
