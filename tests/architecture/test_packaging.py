"""What a wheel would hold, and what the environment may hold."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def package_names(lines):
    return {re.split(r"[\[<>=! ]", line)[0].lower().replace("_", "-") for line in lines}


def pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_every_dependency_is_pinned_exactly():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._]+", line) for line in pinned())
    wanted = package_names(PROJECT["dependencies"])
    wanted |= package_names(PROJECT["optional-dependencies"]["dev"])
    assert wanted <= package_names(pinned())


def test_there_is_one_cv2():
    assert sum("opencv" in line for line in pinned()) == 1


def test_what_licences_forbid_is_not_depended_on():
    forbidden = {"plyfile", "pyiqa", "vmcp", "ultralytics", "lpips", "piq"}
    assert not forbidden & package_names(pinned())
    runtime = package_names(PROJECT["dependencies"])
    assert not {"smplx", "anny"} & runtime


def test_every_runtime_dependency_stands_in_the_notice():
    notice = (ROOT / "NOTICE").read_text().lower()
    assert [p for p in package_names(PROJECT["dependencies"]) if p not in notice] == []


def test_data_and_type_marker_ship():
    source = ROOT / "src" / "persona"
    assert (source / "py.typed").is_file()
    assert (source / "body" / "data" / "open_body.npz").is_file()
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("Apache License")


@pytest.mark.slow
def test_a_wheel_holds_code_core_and_data(tmp_path):
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(tmp_path)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(ROOT)]
    # cmake and ninja come from pip and lie beside the interpreter.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, check=True, env={**os.environ, "PATH": path}, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "persona/_native/libpersona_native.so" in names
    assert "persona/body/data/open_body.npz" in names
    assert "persona/kernels/gsplat_warps.cuh" in names
    assert "persona/export/page/player.js" in names
    assert any(name.endswith("licenses/NOTICE") for name in names)
    foreign = [name for name in names if not name.startswith(("persona/", "persona_avatar-"))]
    assert foreign == []


def test_the_built_page_is_not_stale():
    from persona.export.page_files import STAMP, digest_of_sources, page_file

    stale = "the page was built from other sources: cd web && npm ci && npm run build"
    assert page_file(STAMP).decode().strip() == digest_of_sources(ROOT / "web"), stale


def test_nothing_of_others_ships_in_the_page():
    import json

    package = json.loads((ROOT / "web" / "package.json").read_text())
    assert "dependencies" not in package
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    allowed = {"MIT", "ISC", "0BSD", "Apache-2.0", "BSD-3-Clause", "MPL-2.0"}
    assert {one["license"] for name, one in lock.items() if name} <= allowed
    assert all(one.get("dev") or one.get("devOptional") for name, one in lock.items() if name)
    assert not any("resolved" in one for one in lock.values()), "no registry stands in the tree"
