"""Choosing a backend: argument before environment before capability, refusals with reasons."""

import subprocess
import sys

import pytest
import torch

from persona.core.errors import BackendError
from persona.kernels import Backend, native_core
from persona.kernels.dispatch import CANDIDATES, implementation

CPU = torch.device("cpu")


@pytest.mark.parametrize("op", CANDIDATES)
def test_every_operation_runs_natively_here_and_has_a_reference(op):
    # The core bends while it draws.
    fastest = "reference" if op == "bend_puppet" else "native"
    assert fastest in implementation(op, CPU).__module__
    assert "reference" in implementation(op, CPU, torch.float64).__module__
    assert CANDIDATES[op][-1].backend is Backend.REFERENCE


def test_the_argument_beats_the_environment(monkeypatch):
    monkeypatch.setenv("PERSONA_BACKEND", "reference")
    assert "reference" in implementation("rasterize", CPU).__module__
    assert "native" in implementation("rasterize", CPU, backend=Backend.NATIVE).__module__
    monkeypatch.setenv("PERSONA_BACKEND", "warp")
    with pytest.raises(BackendError, match="PERSONA_BACKEND is 'warp'"):
        implementation("rasterize", CPU)


def test_a_refusal_names_every_candidate_and_its_reason():
    with pytest.raises(BackendError, match="asked for native") as caught:
        implementation("rasterize", torch.device("meta"), backend=Backend.NATIVE)
    assert "native does not run on meta" in caught.value.why
    with pytest.raises(BackendError, match="no backend for rasterize on meta") as caught:
        implementation("rasterize", torch.device("meta"))
    assert "reference does not run on meta" in caught.value.why


def test_a_missing_core_is_an_error_that_says_how_to_build_it(monkeypatch):
    monkeypatch.setattr(native_core, "why_not_native", lambda: "the native core is not built; do x")
    for backend in (None, Backend.NATIVE):
        with pytest.raises(BackendError) as caught:
            implementation("rasterize", CPU, backend=backend)
        assert caught.value.why == "the native core is not built; do x"
    # The reference is there for who asks for it, and for what the core is not made for.
    asked = implementation("rasterize", CPU, backend=Backend.REFERENCE)
    assert asked is implementation("rasterize", CPU, torch.float64)


def test_the_instruction_set_can_be_chosen_and_is_refused_when_absent(monkeypatch):
    assert "baseline" in native_core.isas_here()
    monkeypatch.setenv("PERSONA_ISA", "baseline")
    assert native_core.isa_code() == 0
    monkeypatch.setenv("PERSONA_ISA", "mmx")
    with pytest.raises(BackendError, match="PERSONA_ISA is 'mmx'"):
        native_core.isa_code()
    monkeypatch.delenv("PERSONA_ISA")
    assert native_core.ISAS[native_core.isa_code()] == native_core.isas_here()[-1]


def test_workspaces_are_reused_and_bounded(make_scene):
    from persona.kernels import project_oriented, rasterize

    scene = make_scene(0, count=20_000, width=256, height=256)
    means2d, conics, depths = project_oriented(*scene.leaves[:3], scene.camera)
    for _ in range(3):
        rasterize(means2d, conics, scene.opacities, scene.features, depths, width=256, height=256)
    idle = list(native_core.Workspace._idle)
    rasterize(means2d, conics, scene.opacities, scene.features, depths, width=256, height=256)
    assert native_core.Workspace._idle == idle
    workspace = native_core.Workspace()
    assert 0 < workspace.bytes < 100e6


def test_the_threads_are_those_of_torch_or_as_many_as_asked():
    assert native_core.thread_count(None) == torch.get_num_threads()
    assert native_core.thread_count(3) == 3
    assert native_core.thread_count(10_000) == native_core.MAX_THREADS


def test_a_forked_child_and_many_callers_draw_the_same(tmp_path):
    """Threads do not survive a fork, and two Python threads may call at once."""
    program = """
import os, threading, torch
torch.set_num_threads(1)
from persona.kernels import rasterize
g = torch.Generator().manual_seed(0)
n = 4000
inputs = (torch.rand(n, 2, generator=g) * 90, torch.tensor([[0.2, 0.0, 0.3]]).repeat(n, 1),
          torch.rand(n, generator=g), torch.rand(n, 4, generator=g), torch.rand(n, generator=g))
def draw():
    return rasterize(*inputs, width=90, height=80, threads=3)[0]
first = draw()
same = []
def check():
    same.extend(torch.equal(draw(), first) for _ in range(20))
callers = [threading.Thread(target=check) for _ in range(4)]
[c.start() for c in callers]; [c.join() for c in callers]
assert len(same) == 80 and all(same)
child = os.fork()
if child == 0:
    os._exit(0 if torch.equal(draw(), first) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
