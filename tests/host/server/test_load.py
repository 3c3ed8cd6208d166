from __future__ import annotations

from pathlib import Path

from .load import loaded


def test_under_load_with_failing_devices_every_request_is_answered_once(tmp_path: Path, own_folders: None) -> None:
    outcome = loaded(tmp_path, connections=16, seconds=1.5)
    assert outcome.wrong == []
    assert sum(outcome.statuses.values()) == outcome.asked > 16
    assert outcome.statuses.keys() <= {200, 503}
    assert 0.05 < outcome.fallbacks / outcome.statuses[200] < 0.5
