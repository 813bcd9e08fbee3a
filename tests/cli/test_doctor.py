import json
import re

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


def test_every_operation_tells_who_does_it_and_why_nobody_else(capsys, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^ok  rasterize +native$", out, re.M)
    assert re.search(r"^--  gsplat +gsplat needs a CUDA device", out, re.M)
    monkeypatch.setenv("PERSONA_BACKEND", "reference")
    assert main(["doctor"]) == 0
    assert re.search(
        r"^ok  rasterize +reference, as PERSONA_BACKEND asks", capsys.readouterr().out, re.M
    )
    monkeypatch.setenv("PERSONA_BACKEND", "gsplat")
    assert main(["doctor"]) == 3
    out = capsys.readouterr().out
    asked = r"nothing, as PERSONA_BACKEND asks \(gsplat does not run on cpu\)"
    assert re.search(rf"^NO  rasterize +{asked}", out, re.M)
    assert re.search(r"^ok  pose_gaussians +native$", out, re.M)
    monkeypatch.setenv("PERSONA_BACKEND", "warp")
    assert main(["doctor"]) == 3
    assert "PERSONA_BACKEND is 'warp'" in capsys.readouterr().out


def test_on_cuda_what_is_not_compiled_is_told_and_does_not_stop_the_main_job(monkeypatch, capsys):
    import torch

    from persona.kernels import gsplat_core, triton_core

    monkeypatch.setattr(triton_core, "is_available", lambda _: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setattr(gsplat_core, "gsplat_version", lambda: "1.5.3")
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^--  pose_gaussians on cuda +nothing \(.*triton is not installed", out, re.M)
    assert re.search(r"^--  rasterize on cuda +nothing \(.*gsplat 1.5.3 is not compiled", out, re.M)
    assert "fix: persona doctor --build-cuda" in out
    assert "persona works here" in out


def test_building_is_told_with_its_time_or_refused_with_what_is_missing(monkeypatch, capsys):
    from persona.kernels import gsplat_build

    monkeypatch.setattr(gsplat_build, "gsplat_version", lambda: None)
    assert main(["doctor", "--build-cuda"]) == 3
    assert "the package gsplat is missing" in capsys.readouterr().err
    monkeypatch.setattr(gsplat_build, "build_gsplat", lambda: 41.2)
    assert main(["doctor", "--build-cuda"]) == 0
    captured = capsys.readouterr()
    assert "compile gsplat ..." in captured.err
    assert "gsplat was compiled in 41 s" in captured.err
    assert "persona works here" in captured.out
