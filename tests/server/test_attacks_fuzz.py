"""The fuzzer of benchmarks/attacks, shortened: other inputs than its ten thousand."""

from benchmarks.attacks.fuzz import run
from tests.helpers.server import write_studies


def test_damaged_uploads_and_json_neither_fail_the_server_nor_leave_the_folder(tmp_path):
    studies = write_studies(tmp_path / "inner" / "studies")
    report = run(studies, tmp_path, seed=20, count=150)
    assert report["failures"] == []
    assert report["files_outside"] == []
    assert report["still_answers"] is True
    assert sum(report["statuses"].values()) >= 150
    assert report["statuses"][400] > 50
