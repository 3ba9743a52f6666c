"""Live capture as a systemd service: its unit, and a configuration with every setting to choose from.

Stands apart because it runs once, when a device is set up. It writes files and starts nothing.
"""

from __future__ import annotations

import dataclasses
import grp
import inspect
import os
import pwd
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unetlite.edge.capture.config import CaptureConfig, read_config
from unetlite.vision.errors import OutputError, SettingsError
from unetlite.vision.files import atomic_path

# Those that own cameras, memory for pictures, and pins; a system has some of them.
_GROUPS = ("video", "render", "gpio")

_UNIT = """\
# Written by `unet-capture install-service`; written anew with --overwrite.
[Unit]
Description=unetlite: live capture of identity documents
After=network.target
# A camera may be plugged in at any time: never give up.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
User={user}
{groups}Restart=on-failure
RestartSec=3
# Wrong options stay wrong.
RestartPreventExitStatus=2
# No sign of life for so long: the program hangs, and is started anew.
WatchdogSec=30
TimeoutStartSec=120
TimeoutStopSec=5

# The captures are readable to {user} alone, and the only thing that can be written.
UMask=0077
ReadWritePaths={folder}
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectProc=invisible
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
# Left out: PrivateDevices, DevicePolicy and ProtectClock would hide the camera, whose device files differ by board.

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Service:
    """What is installed.

    Attributes:
        options: of `unet-capture`, but for --to and --config.
        folder: where captures go.
        user: who runs it and owns the captures.
        unit: the systemd unit's file.
        config: the configuration's file.
    """

    options: tuple[str, ...]
    folder: Path
    user: str
    unit: Path
    config: Path


def default_user() -> str:
    """Who is to run the service: the person behind sudo; never root.

    Raises:
        SettingsError: root itself is at work.
    """
    name = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    if name == "root":
        raise SettingsError("expected a user other than root to run the service; name one with --user")
    return name


def install_service(service: Service, *, overwrite: bool = False) -> list[Path]:
    """Make the captures' folder, and write unit and configuration; a configuration that exists is kept.

    Returns:
        The files written.

    Raises:
        SettingsError: no such user, no such program, or a configuration that cannot be read.
        OutputError: a unit exists and is not to be overwritten, or a file cannot be written.
    """
    try:
        account = pwd.getpwnam(service.user)
    except KeyError as error:
        raise SettingsError(f"expected a user of this machine, got {service.user!r}; name one with --user") from error
    program = Path(sys.executable).with_name("unet-capture")
    if not program.is_file():
        raise SettingsError(f"{program}: expected unet-capture beside this Python; install unetlite into it with pip")
    folder, config = service.folder.absolute(), service.config.absolute()
    command = [str(program.absolute()), *service.options, "--to", str(folder), "--config", str(config)]
    if service.unit.exists() and not overwrite:
        raise OutputError(f"{service.unit}: expected a new file, but it exists; pass --overwrite")
    if config.exists():
        read_config(config)
    written = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid == os.getuid() == 0 and account.pw_uid:
            os.chown(folder, account.pw_uid, account.pw_gid)
        if folder.stat().st_uid != account.pw_uid:
            raise OutputError(f"{folder}: expected a folder of {service.user}; run: sudo chown {service.user} {folder}")
        if not config.exists():
            # It may come to hold an address with a password: theirs alone.
            _write(config, config_text(), 0o600, account)
            written.append(config)
        _write(service.unit, unit_text(command, folder, service.user), 0o644, None)
        written.append(service.unit)
    except OSError as error:
        if isinstance(error.__cause__, OSError):
            raise OutputError(f"{error}; run it with sudo") from error
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{folder}: could not be made: {error.strerror or error}; run it with sudo") from error
    return written


def unit_text(command: Sequence[str], folder: Path, user: str) -> str:
    """The systemd unit that runs `command` as `user`, who may write to `folder` alone."""
    groups = " ".join(name for name in _GROUPS if _is_group(name))
    return _UNIT.format(
        command=" ".join(_unit_word(word) for word in command),
        folder=_unit_word(str(folder)),
        user=user,
        groups=f"SupplementaryGroups={groups}\n" if groups else "",
    )


def config_text() -> str:
    """A configuration in TOML: every section, each field with its default behind a #, and what it means."""
    parts = [
        "# Settings of unet-capture; read once at its start. What stands behind a # is the default: remove the # and\n"
        "# change the value. After a change: sudo systemctl restart unet-capture\n"
    ]
    for section in dataclasses.fields(CaptureConfig):
        kind: Any = section.default_factory
        defaults = kind()
        lines = [f"[{section.name}]", *(f"# {line}".rstrip() for line in _meaning(kind))]
        for field in dataclasses.fields(kind):
            value = getattr(defaults, field.name)
            lines.append(f"# {field.name} =   # not set" if value is None else f"# {field.name} = {_toml_value(value)}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _meaning(kind: type) -> list[str]:
    """What a settings class says of itself and its fields."""
    text = inspect.cleandoc(kind.__doc__ or "")
    text = re.sub(r"\n+Attributes:\n", "\n", text)
    return [line for line in text.splitlines() if line.strip()]


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def _unit_word(word: str) -> str:
    """A word as systemd reads it in a unit: specifiers and variables are taken literally."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    if "\n" in word:
        raise SettingsError(f"expected a name on one line, got {word!r}; rename it")
    return escaped if re.fullmatch(r"[\w@:,./=+%-]+", word) else f'"{escaped}"'


def _is_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _write(path: Path, content: str, mode: int, owner: pwd.struct_passwd | None) -> None:
    with atomic_path(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            if owner is not None and os.getuid() == 0:
                os.fchown(file.fileno(), owner.pw_uid, owner.pw_gid)
