import json

import pytest

from persona.cli import doctor
from persona.cli.main import main


def test_this_machine_can_do_the_main_job(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("persona works here\n")
    for name in (
        "python",
        "memory",
        "native core",
        "rasterize",
        "mediapipe",
        "libx264",
        "open body",
    ):
        assert f"ok  {name}" in out


def test_programs_get_the_same_findings(capsys):
    assert main(["doctor", "--json"]) == 0
    (event,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert event["works"] is True
    assert {"name", "state", "works", "fix", "optional"} == set(event["findings"][0])


def test_what_is_broken_is_told_with_its_cure(monkeypatch, capsys):
    def broken():
        yield doctor.Finding(name="lamp", state="dark", works=False, fix="light it")
        yield doctor.Finding(name="moon", state="none", works=False, optional=True)

    def missing():
        raise ImportError("No module named 'torch'")
        yield

    missing.__name__ = "look_at_torch"
    monkeypatch.setattr(doctor, "LOOKS", (broken, missing))
    assert main(["doctor"]) == 3
    out = capsys.readouterr().out
    assert "NO  lamp   dark" in out
    assert "fix: light it" in out
    assert "--  moon" in out
    assert "NO  torch  No module named 'torch'" in out
    assert "2 to mend" in out


@pytest.mark.parametrize("library", ["libnone.so.9"])
def test_a_missing_system_library_names_its_package(library, monkeypatch):
    monkeypatch.setattr(doctor, "SYSTEM_LIBRARIES", {library: "libnone9"})
    (finding,) = doctor.look_at_libraries()
    assert not finding.works
    assert finding.fix.endswith("apt-get install libnone9")
