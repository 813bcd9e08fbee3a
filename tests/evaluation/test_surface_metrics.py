"""Distances between surfaces: known answers, whatever draws them."""

from dataclasses import dataclass, replace

import pytest
import torch

from persona.body import load_body
from persona.core.errors import InputError
from persona.evaluation.methods import Drawn
from persona.evaluation.subjects import SubjectFrame, TrueSurface
from persona.evaluation.surface_metrics import TOO_FAR_M, surface_errors
from persona.geometry.cameras import Camera, photo_camera
from persona.records.body_params import rest_params
from persona.rendering.body_maps import draw_body_maps


@dataclass(frozen=True)
class MeshDrawer:
    """Draws a mesh."""

    vertices: torch.Tensor
    faces: torch.Tensor

    def draw(self, frame, *, camera: Camera | None = None, maps: bool = False):
        shown = draw_body_maps(self.vertices, self.faces, camera or frame.camera)
        return Drawn(
            color=torch.zeros(*shown.mask.shape, 3),
            alpha=shown.mask.float(),
            depth=shown.depth if maps else None,
            normal=shown.normal if maps else None,
        )


class FlatDrawer:
    """Draws pictures without a surface."""

    def draw(self, frame, *, camera=None, maps=False):
        size = (camera or frame.camera).height, (camera or frame.camera).width
        return Drawn(color=torch.zeros(*size, 3), alpha=torch.zeros(size))


@pytest.fixture(scope="module")
def person():
    body = load_body()
    return body.forward(rest_params()).vertices, body.faces


def _frame(person):
    camera = photo_camera(48, 64, 90.0)
    return SubjectFrame(
        index=0,
        name="0",
        picture=torch.zeros(64, 48, 3),
        mask=torch.zeros(64, 48),
        camera=camera,
        surface=TrueSurface(vertices=person[0], faces=person[1]),
    )


def test_truth_against_itself_is_zero(person):
    errors = surface_errors(MeshDrawer(*person), _frame(person))
    assert errors.accuracy_mm == pytest.approx(0, abs=1e-3)
    assert errors.completeness_mm == pytest.approx(0, abs=1e-3)
    assert errors.normal_deg < 1.0


def test_a_grown_body_is_off_by_what_it_grew(person):
    from persona.rendering.body_maps import vertex_normals

    grown = person[0] + 0.02 * vertex_normals(*person)
    errors = surface_errors(MeshDrawer(grown, person[1]), _frame(person))
    assert errors.vertex_mm == pytest.approx(20, abs=2.5)
    assert errors.normal_deg < 12


def test_a_lost_arm_is_missed_by_what_is_missing_alone(person):
    vertices, faces = person
    kept = faces[(vertices[faces][..., 0] < 0.3).all(1)]
    errors = surface_errors(MeshDrawer(vertices, kept), _frame(person))
    assert errors.completeness_mm > 8
    assert errors.accuracy_mm < 3


def test_something_in_the_air_counts_where_it_is_drawn_alone(person):
    vertices, faces = person
    small = vertices * 0.25 + torch.tensor([0.6, -0.3, 0.0])
    both = torch.cat([vertices, small]), torch.cat([faces, faces + len(vertices)])
    errors = surface_errors(MeshDrawer(*both), _frame(person))
    assert errors.accuracy_mm > 3
    assert errors.completeness_mm < 2


def test_nothing_drawn_is_as_far_as_counts(person):
    vertices, faces = person
    nothing = MeshDrawer(vertices + torch.tensor([50.0, 0.0, 0.0]), faces)
    errors = surface_errors(nothing, _frame(person))
    assert errors.vertex_mm == pytest.approx(1000 * TOO_FAR_M)


def test_a_method_without_a_surface_has_no_error(person):
    assert surface_errors(FlatDrawer(), _frame(person)) is None


def test_a_frame_without_a_surface_is_refused(person):
    with pytest.raises(InputError, match="not known"):
        surface_errors(MeshDrawer(*person), replace(_frame(person), surface=None))
