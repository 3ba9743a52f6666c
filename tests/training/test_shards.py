"""Work that is shared out with --shard, and put together again."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from unetlite.training.data.cli import main
from unetlite.training.data.merge import merge
from unetlite.training.data.prepare import prepare
from unetlite.training.synthesis.generator import generate
from unetlite.vision.errors import DatasetError, OutputError, SettingsError
from unetlite.vision.shard import Shard, parse_shard


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def prepared_parts(midv_folder: Path, tmp_path: Path) -> list[Path]:
    parts = [tmp_path / f"part{number}" for number in (1, 2, 3)]
    for number, part in enumerate(parts, 1):
        prepare(midv_folder, part, shares=(50, 25, 25), licence="CC0", shard=Shard(number, 3))
    return parts


def test_prepared_parts_merge_into_what_one_run_writes(
    midv_folder: Path, prepared_parts: list[Path], tmp_path: Path
) -> None:
    prepare(midv_folder, tmp_path / "whole", shares=(50, 25, 25), licence="CC0")
    shares = [len(list(part.glob("*/images/*"))) for part in prepared_parts]
    assert sum(shares) == 16 and max(shares) - min(shares) <= 1
    said = run("merge", *map(str, reversed(prepared_parts)), "--to", str(tmp_path / "merged"))
    assert contents(tmp_path / "merged") == contents(tmp_path / "whole")
    assert "3 parts, 48 files" in said


def test_synthesized_parts_merge_into_what_one_run_writes(tmp_path: Path) -> None:
    generate(tmp_path / "whole", 10, 3, size_wh=(96, 64), classes=("card", "passport"), jobs=1)
    for number in (1, 2):
        run(
            *("synthesize", "--to", str(tmp_path / f"part{number}"), "--count", "10", "--seed", "3", "--size", "96x64"),
            *("--classes", "card,passport", "--jobs", "1", "--shard", f"{number}/2"),
        )
    merge([tmp_path / "part1", tmp_path / "part2"], tmp_path / "merged")
    assert contents(tmp_path / "merged") == contents(tmp_path / "whole")
    assert {"synthesis.json", "labels.txt", "contact-sheet.jpg"} <= set(contents(tmp_path / "merged"))


def test_packed_parts_merge_into_what_one_run_writes(
    midv_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorflow", reason="records need TensorFlow: pip install 'unetlite[train-cpu]'")
    monkeypatch.setattr("unetlite.training.data.prepare.PICTURES_PER_FILE", 3)
    prepare(midv_folder, tmp_path / "whole", shares=(50, 25, 25), records=True)
    for number in (1, 2):
        prepare(midv_folder, tmp_path / f"part{number}", shares=(50, 25, 25), records=True, shard=Shard(number, 2))
    merge([tmp_path / "part1", tmp_path / "part2"], tmp_path / "merged")
    assert contents(tmp_path / "merged") == contents(tmp_path / "whole")
    assert len(list((tmp_path / "merged" / "train").glob("*.tfrecord"))) == 3  # of 3, 3 and 2 pictures


def test_parts_that_make_no_whole_are_named(midv_folder: Path, prepared_parts: list[Path], tmp_path: Path) -> None:
    one, two, three = prepared_parts
    to = tmp_path / "merged"
    with pytest.raises(SettingsError, match="all 3 shards, but 2/3, 3/3 are missing"):
        merge([one], to)
    with pytest.raises(SettingsError, match="part2: expected each shard once"):
        merge([one, two, two, three], to)
    prepare(midv_folder, tmp_path / "other", shares=(50, 25, 25), licence="CC0", seed=9, shard=Shard(3, 3))
    with pytest.raises(DatasetError, match="other: expected a part of the same set .* another seed"):
        merge([one, two, tmp_path / "other"], to)
    prepare(midv_folder, tmp_path / "whole", shares=(50, 25, 25), licence="CC0")
    with pytest.raises(DatasetError, match="whole: expected a part that --shard made, got a whole"):
        merge([one, two, three, tmp_path / "whole"], to)
    lost = next(iter(sorted((three).glob("*/masks/*"))))
    lost.unlink()
    with pytest.raises(DatasetError, match=f"part3: shard 3/3 is not finished, .*{lost.name} is missing; run it again"):
        merge(prepared_parts, to)
    assert not to.exists() and not list(tmp_path.glob(".merged*"))
    to.mkdir()
    with pytest.raises(OutputError, match="expected a new folder"):
        merge(prepared_parts, to)


def test_a_part_is_not_mixed_with_another(midv_folder: Path, prepared_parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="other arguments"):
        prepare(midv_folder, prepared_parts[0], shares=(50, 25, 25), licence="CC0", shard=Shard(2, 3))
    generate(tmp_path / "drawn", 4, 3, size_wh=(96, 64), jobs=1, shard=Shard(1, 2))
    with pytest.raises(DatasetError, match="another shard"):
        generate(tmp_path / "drawn", 4, 3, size_wh=(96, 64), jobs=1)


def test_a_manifest_that_is_none_is_refused(prepared_parts: list[Path], tmp_path: Path) -> None:
    for spoiled in ("{", "[]", '{"shard": 5}', '{"shard": "1/1"}', '{"shard": "1/1", "frames": [3]}'):
        (prepared_parts[0] / "split.json").write_text(spoiled)
        with pytest.raises(DatasetError, match="part1"):
            merge(prepared_parts[:1], tmp_path / "merged")


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/", "a/b", "1/2/3", "-1/4", ""])
def test_a_crooked_shard_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected a shard as 1/8 to 8/8"):
        parse_shard(text)
    result = CliRunner().invoke(main, ["synthesize", "--to", str(tmp_path), "--count", "1", "--shard", text])
    assert result.exit_code == 2
