"""Captures on disk: whole, private, bounded."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import stat
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from unetlite.edge.capture.store import CaptureStore, StoreSettings
from unetlite.vision.errors import OutputError, SettingsError
from unetlite.vision.image import read_image

CROP = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)
NOISE = np.random.default_rng(1).integers(0, 256, (100, 100, 3), dtype=np.uint8)  # 30 kB, whatever packs it
RECORD = {"quad": [[0, 0], [1, 0], [1, 1], [0, 1]], "model": {"sha256": "ab"}}
START = datetime(2026, 5, 4, 3, 2, 1, 234_000, tzinfo=timezone.utc)


def used_bytes(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir())


def test_a_capture_is_a_crop_and_a_record_named_by_time(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path / "captures", StoreSettings())
    saved = store.save(CROP, NOISE, RECORD, now=START)
    assert saved.name == "20260504T030201.234Z"
    assert sorted(path.name for path in store.folder.iterdir()) == [f"{saved.name}.crop.png", f"{saved.name}.json"]
    assert np.array_equal(read_image(saved.crop), CROP)
    content = json.loads(saved.record.read_text())
    assert content["time"] == "2026-05-04T03:02:01.234+00:00"
    assert content["files"] == [saved.crop.name]
    assert content["quad"] == RECORD["quad"]


def test_the_frame_is_written_on_request(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path, StoreSettings(keep_frame=True, image_format="jpg"))
    saved = store.save(CROP, NOISE, RECORD, now=START)
    assert read_image(tmp_path / f"{saved.name}.frame.jpg").shape == NOISE.shape


@pytest.mark.parametrize("made_before", [False, True])
def test_only_the_owner_can_read_captures_under_any_umask(tmp_path: Path, made_before: bool) -> None:
    before = os.umask(0)
    try:
        if made_before:
            (tmp_path / "captures").mkdir(mode=0o777)
        store = CaptureStore(tmp_path / "captures", StoreSettings(keep_frame=True))
        store.save(CROP, NOISE, RECORD)
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.folder.iterdir()} == {0o600}
    assert store.is_private


def test_a_folder_with_other_things_in_it_keeps_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("keep me")
    tmp_path.chmod(0o755)
    store = CaptureStore(tmp_path, StoreSettings(most_bytes=50_000, most_count=1))
    assert not store.is_private
    for seconds in range(3):
        store.save(CROP, None, RECORD, now=START + timedelta(seconds=seconds))
    assert (tmp_path / "letter.txt").read_text() == "keep me"


def test_captures_of_the_same_millisecond_do_not_overwrite_one_another(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path, StoreSettings())
    names = [store.save(CROP, None, RECORD, now=START).name for _ in range(3)]
    assert names == sorted(set(names)) == store.names()


def test_never_more_disk_is_used_than_allowed(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path / "captures", StoreSettings(most_bytes=200_000))
    for second in range(12):
        saved = store.save(NOISE, None, RECORD, now=START + timedelta(seconds=second))
        assert used_bytes(store.folder) <= 200_000
        assert store.names()[-1] == saved.name
    assert len(store.names()) == 200_000 // saved.size_bytes


def test_the_oldest_captures_beyond_the_count_are_removed_whole(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path, StoreSettings(most_count=2, keep_frame=True))
    names = [store.save(CROP, CROP, RECORD, now=START + timedelta(minutes=n)).name for n in range(5)]
    assert store.names() == names[-2:]
    assert len(list(tmp_path.iterdir())) == 2 * 3


def test_captures_older_than_allowed_are_removed(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path, StoreSettings(most_days=30))
    old = store.save(CROP, None, RECORD, now=START).name
    new = store.save(CROP, None, RECORD, now=START + timedelta(days=20)).name
    assert store.retain(now=START + timedelta(days=31)) == [old]
    assert store.names() == [new]


def test_a_capture_larger_than_the_whole_allowance_is_refused_and_removes_nothing(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path, StoreSettings(most_bytes=20_000))
    small = store.save(CROP, None, RECORD, now=START).name
    with pytest.raises(OutputError, match="20000 bytes"):
        store.save(NOISE, None, RECORD)
    assert store.names() == [small]


def test_a_disk_that_refuses_is_one_clear_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path / "captures", StoreSettings(image_format="png"))
    before = store.save(CROP, None, RECORD, now=START)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))  # writes stop short, as on a full disk
        with pytest.raises(OutputError, match=re.escape(str(store.folder))):
            store.save(NOISE, None, RECORD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert sorted(p.name for p in store.folder.iterdir()) == sorted([before.crop.name, before.record.name])
    assert store.save(NOISE, None, RECORD).crop.exists()


def test_a_folder_that_was_tidied_away_is_made_anew_and_private(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path / "captures", StoreSettings())
    store.folder.rmdir()
    assert store.names() == []
    assert store.save(CROP, None, RECORD).crop.exists()
    assert store.is_private


def test_what_a_power_cut_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path, StoreSettings())
    killed = """
import os, sys
from unetlite.edge.capture import store
def die(*_): os._exit(9)
import unetlite.vision.files as files
files.os.replace = die
import numpy as np
store.CaptureStore(sys.argv[1], store.StoreSettings()).save(np.zeros((9, 9, 3), np.uint8), None, {})
"""
    assert subprocess.run([sys.executable, "-c", killed, str(tmp_path)]).returncode == 9
    assert len(list(tmp_path.iterdir())) == 1
    assert store.names() == []
    CaptureStore(tmp_path, StoreSettings())
    assert list(tmp_path.iterdir()) == []


def test_names_from_the_network_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path / "captures", StoreSettings())
    saved = store.save(CROP, None, RECORD)
    assert store.crop_path(saved.name) == saved.crop
    (tmp_path / "secret.crop.png").write_bytes(b"x")
    assert store.crop_path("../secret") is None
    assert store.crop_path("20260504T030201.234Z") is None


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="could not be used"):
        CaptureStore(tmp_path / "file" / "captures", StoreSettings())


def test_senseless_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="png or jpg"):
        StoreSettings(image_format="gif")
    with pytest.raises(SettingsError, match="most_count"):
        StoreSettings(most_count=0)
