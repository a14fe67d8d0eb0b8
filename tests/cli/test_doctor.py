"""`course doctor` says what is wrong and what to do, and breaks over nothing."""

import json
import sys
from collections import namedtuple

import matplotlib
import pytest

from course_utils.cli import doctor

Disk = namedtuple("Disk", "total used free")


def test_a_line_for_each_check_and_the_exit_code(capsys):
    code = doctor.doctor()
    printed = capsys.readouterr().out
    for what in (
        "Python",
        "packages",
        "torch",
        "device",
        "disk",
        "fonts",
        "Jupyter kernel",
        "network",
        "nbgrader",
        "bubblewrap",
    ):
        assert any(
            line.startswith(("OK", "MISSING", "FAIL")) and f" {what} " in line for line in printed.splitlines()
        ), what
    assert code == int(any(line.startswith("FAIL") for line in printed.splitlines()))


def test_json_is_one_object_a_finding(capsys):
    doctor.doctor(json=True)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == len(doctor.CHECKS)
    assert all(row.keys() == {"what", "status", "found", "advice"} for row in rows)
    assert all(row["status"] in ("OK", "MISSING", "FAIL") and row["found"] for row in rows)
    assert all(row["advice"] for row in rows if row["status"] != "OK")


def test_what_is_optional_never_fails(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    for check in (doctor.network, doctor.nbgrader, doctor.bubblewrap):
        finding = check()
        assert finding.status == "MISSING" and finding.advice


def test_the_network_is_ok_where_the_hub_answers_and_missing_where_it_does_not(monkeypatch):
    class Answer:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    def refuse(address, timeout):
        raise TimeoutError("timed out")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(doctor.socket, "create_connection", lambda address, timeout: Answer())
    assert doctor.network().status == "OK"
    monkeypatch.setattr(doctor.socket, "create_connection", refuse)
    assert doctor.network().status == "MISSING" and "timed out" in doctor.network().found


def test_an_old_python_fails(monkeypatch):
    monkeypatch.setattr(doctor.sys, "version_info", (3, 9, 1))
    assert doctor.python().status == "FAIL" and "3.11" in doctor.python().advice


def test_a_package_that_is_missing_or_too_old_fails_by_name(monkeypatch):
    assert doctor.packages().status in ("OK", "MISSING")
    wanted = ["numpy>=99", "no-such-package", "rich", 'torchmetrics>=99; extra == "peers"']
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: wanted)
    finding = doctor.packages()
    assert finding.status == "FAIL" and "no-such-package is missing" in finding.found and "wanted >=99" in finding.found
    assert "rich" not in finding.found and "torchmetrics" not in finding.found


def test_a_device_that_is_not_there_fails(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cuda:99")
    finding = doctor.device()
    assert finding.status == "FAIL" and "COURSE_DEVICE" in finding.advice
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    assert doctor.device().status == "OK"


def test_too_little_disk_fails(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Disk(10**12, 0, 10**9))
    assert doctor.disk().status == "FAIL" and "1.0 GB free" in doctor.disk().found


def test_a_data_folder_that_is_not_there_yet_is_looked_at_where_it_will_be(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "not" / "yet"))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Disk(10**12, 0, 10**11) if path == tmp_path else None)
    assert doctor.disk().status == "OK"


def test_missing_fonts_fail_by_name(monkeypatch, tmp_path):
    assert doctor.fonts().status == "OK"
    monkeypatch.setattr(matplotlib, "get_data_path", lambda: str(tmp_path))
    assert doctor.fonts().status == "FAIL" and "DejaVuSans" in doctor.fonts().found


def test_a_kernel_of_another_python_fails(monkeypatch, tmp_path):
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    assert doctor.kernel().status == "OK"
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    for program, status in (("/nowhere/python", "FAIL"), (sys.executable, "OK"), ("python", "OK")):
        kernel = {"argv": [program, "-f", "{connection_file}"], "display_name": "x", "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(kernel))
        assert doctor.kernel().status == status, program


def test_a_check_that_breaks_is_a_finding():
    def broken():
        raise ImportError("libtorch.so: cannot open\nsecond line")

    finding = doctor.examine(broken)
    assert (finding.status, finding.found) == ("FAIL", "ImportError: libtorch.so: cannot open")


@pytest.mark.parametrize(("status", "code"), [("OK", 0), ("MISSING", 0), ("FAIL", 1)])
def test_only_a_fail_makes_the_exit_code_one(monkeypatch, status, code):
    monkeypatch.setattr(doctor, "CHECKS", (lambda: doctor.Finding("x", status, "found", "do this"),))
    assert doctor.doctor() == code
