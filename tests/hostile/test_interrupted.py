"""Commands that are killed, whose disk is full, or whose target takes nothing; more of it by `make hostile`."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from fault_training import write_cards  # noqa: E402
from fault_work import Runner, Work, broken, download_work, leftovers, prepare_work, slow_server  # noqa: E402
from faults import full_disks, kills, read_only, why_no_mount  # noqa: E402

from unetlite.vision.dataset import find_samples  # noqa: E402


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The work of unet-data prepare and a process that runs it."""
    work = prepare_work(tmp_path_factory.mktemp("source"))
    runner = work.runner()
    yield work, runner
    runner.close()


def test_a_killed_prepare_leaves_whole_files_and_its_second_run_the_rest(prepared, tmp_path):
    work, runner = prepared
    count = kills(work, runner, tmp_path, 5, random.Random(3))
    assert (count.tried, count.faults) == (5, [])
    assert count.interrupted  # else nothing was tried


def test_a_killed_download_leaves_whole_files_and_its_second_run_the_rest(tmp_path):
    with slow_server(tmp_path, 0.3) as url:
        work = download_work(tmp_path, url)
        runner = work.runner()
        try:
            count = kills(work, runner, tmp_path, 4, random.Random(5))
        finally:
            runner.close()
    assert (count.tried, count.faults) == (4, [])
    assert count.interrupted


@pytest.mark.parametrize("disturb", [lambda *given: full_disks(*given, steps=4), read_only], ids=["full", "read-only"])
def test_a_disk_that_takes_nothing_more_is_one_sentence_and_no_half_written_file(prepared, tmp_path, disturb):
    reason = why_no_mount(tmp_path)
    if reason:
        pytest.skip(f"no small disk can be mounted here ({reason}); run the tests as root")
    count = disturb(*prepared, tmp_path)
    assert count.faults == []
    assert count.interrupted


def test_the_check_itself_sees_a_half_written_file(tmp_path):
    (tmp_path / "a.json").write_text('{"a": ')
    (tmp_path / ".b.1234.json").write_text('{"a": ')
    found = broken(tmp_path, {}, stable=True)
    assert len(found) == 1 and found[0].startswith("a.json: not whole")
    assert leftovers(tmp_path) == 1


def test_the_runner_tells_status_and_sentence(tmp_path):
    runner = Runner("unetlite.training.data.cli", "main")
    try:
        work = Work("prepare", "", "", ["prepare", str(tmp_path / "nowhere"), "--to", "{to}"])
        status, said = runner.run(work.at(tmp_path / "to"))
    finally:
        runner.close()
    assert status == 1 and said.startswith("Error: ")


def test_the_cards_that_trainings_are_killed_over_are_a_data_set(tmp_path):
    root = write_cards(tmp_path)
    assert [len(find_samples(root / part)) for part in ("train", "validation")] == [48, 16]
