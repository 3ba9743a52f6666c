"""One of n equal runs that share a long piece of work: which units it does, and which runs make a whole.

Stands apart because data sets and benchmark reports are shared out and put together by the same rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unetlite.vision.errors import SettingsError


@dataclass(frozen=True)
class Shard:
    """Run `number` of `count`, counted from 1, as `2/8` says."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def owns(self, unit: int) -> bool:
        """Whether this run does the unit of work with this number, from 0: units are dealt out in turn."""
        return unit % self.count == self.number - 1


def parse_shard(text: str) -> Shard:
    """`2/8` as a Shard. Raises SettingsError."""
    number, slash, count = str(text).partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise SettingsError(f"expected a shard as 1/8 to 8/8, got {text!r}")
    return Shard(int(number), int(count))


def owns(shard: Shard | None, unit: int) -> bool:
    """`Shard.owns`, and everything where the work is not shared."""
    return shard is None or shard.owns(unit)


def check_complete(parts: Sequence[tuple[str, Shard]]) -> None:
    """That these are all the runs of one piece of work, each once.

    Args:
        parts: the name to call it by, and the shard, of each.

    Raises:
        SettingsError: naming the shards that are missing, double or of another number of shards.
    """
    name, first = parts[0]
    seen: dict[int, str] = {}
    for other, shard in parts:
        if shard.count != first.count:
            raise SettingsError(f"{other}: expected a shard of {first.count} like {name}, got {shard}; leave it out")
        if shard.number in seen:
            raise SettingsError(f"{other}: expected each shard once, but {seen[shard.number]} is {shard} too; name one")
        seen[shard.number] = other
    missing = [str(Shard(number, first.count)) for number in range(1, first.count + 1) if number not in seen]
    if missing:
        raise SettingsError(
            f"expected all {first.count} shards, but {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} "
            "missing; name them too, or run them"
        )
