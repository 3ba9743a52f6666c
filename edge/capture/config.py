"""Live capture's settings from a TOML file: one section for each of its parts.

Stands apart so that a device set up once starts with a single option.
"""

from __future__ import annotations

import dataclasses
import importlib
import typing
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any

from unetlite.edge.capture.hooks import HookSettings
from unetlite.edge.capture.latest import RecoverySettings
from unetlite.edge.capture.lights import LightSettings
from unetlite.edge.capture.quality import QualitySettings
from unetlite.edge.capture.states import StateSettings
from unetlite.edge.capture.store import StoreSettings
from unetlite.vision.errors import MissingExtraError, SettingsError


@dataclass(frozen=True)
class CaptureConfig:
    """All sections; each may be left out of the file, and so may each of its fields."""

    states: StateSettings = field(default_factory=StateSettings)
    quality: QualitySettings = field(default_factory=QualitySettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    recovery: RecoverySettings = field(default_factory=RecoverySettings)
    hooks: HookSettings = field(default_factory=HookSettings)
    lights: LightSettings = field(default_factory=LightSettings)


def read_config(path: Path) -> CaptureConfig:
    """Read a configuration.

    Raises:
        SettingsError: no such file, no TOML, a section or field that does not exist, or a value of the wrong kind.
    """
    try:
        content = _toml().loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: expected a configuration, but there is no such file; check the path") from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: expected a configuration in TOML, got {error}") from error
    sections = {section.name: section.default_factory for section in dataclasses.fields(CaptureConfig)}
    _check_names(content, sections, f"{path}")
    made = {}
    for name, values in content.items():
        if not isinstance(values, dict):
            raise SettingsError(f"{path}: expected a section [{name}], got a value; write the section above its fields")
        kind = typing.cast(Any, sections[name])
        hints = typing.get_type_hints(kind)
        _check_names(values, hints, f"{path}: section [{name}]")
        fields = {key: _checked(value, hints[key], f"{path}: {name}.{key}") for key, value in values.items()}
        made[name] = kind(**fields)
    return CaptureConfig(**made)


def _toml() -> Any:
    for name in ("tomllib", "tomli"):  # the standard library has it from Python 3.11 on
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise MissingExtraError("a configuration file needs tomli on Python 3.10; install it with: pip install tomli")


def _check_names(given: dict[str, Any], known: typing.Collection[str], where: str) -> None:
    for name in given:
        if name not in known:
            raise SettingsError(f"{where}: expected {', '.join(known)}, got {name!r}; correct the name or remove it")


def _checked(value: Any, hint: Any, where: str) -> Any:
    kinds = [kind for kind in typing.get_args(hint) or (hint,) if kind is not NoneType]
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not any(type(value) is kind for kind in kinds):
        raise SettingsError(f"{where}: expected {' or '.join(k.__name__ for k in kinds)}, got {value!r}")
    return value
