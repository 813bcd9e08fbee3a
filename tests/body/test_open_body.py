"""The shipped body is whole, symmetric, of human proportions, and knows its parts."""

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import connected_components

from persona.body import load_body
from persona.body.regions import PART_NAMES
from persona.body.skeleton import JOINT_IDS, MIRROR_IDS
from persona.core.errors import InputError
from persona.geometry.meshes import adjacency_matrix, is_closed, vertex_normals
from persona.records.body_params import rest_params

FLIP = torch.tensor([-1.0, 1.0, 1.0])
BODY_VERTICES = 13_718
TEETH_VERTICES = 136


@pytest.fixture(scope="module")
def body():
    return load_body()


def test_counts_that_others_build_on(body):
    assert body.vertex_count == BODY_VERTICES + TEETH_VERTICES
    assert body.regions.part("teeth").tolist() == list(range(BODY_VERTICES, body.vertex_count))
    assert body.shapedirs.shape[2] == body.exprdirs.shape[2] == 10
    assert len(body.face_units.names) == 52


def test_mesh_is_closed_and_has_six_pieces(body):
    assert is_closed(body.faces)
    pieces, _ = connected_components(adjacency_matrix(body.faces, body.vertex_count))
    assert pieces == 6  # body, tongue, two eyes, two rows of teeth


def test_triangles_face_outwards(body):
    corners = body.v_template[body.faces]
    volume = torch.linalg.det(corners).sum() / 6
    assert 0.05 < volume < 0.09  # cubic metres; a person of 1.70 m weighs about as many tonnes


def test_left_is_the_mirror_image_of_right(body):
    partner = body.mirror_vertices
    assert torch.equal(partner[partner], torch.arange(body.vertex_count))
    assert (body.v_template[partner] * FLIP - body.v_template).abs().max() < 1e-6
    assert (body.weights[partner][:, list(MIRROR_IDS)] - body.weights).abs().max() < 1e-6
    assert (body.joints_template[list(MIRROR_IDS)] * FLIP - body.joints_template).abs().max() < 1e-5


def test_weights_are_shares(body):
    assert body.weights.min() >= 0
    assert torch.allclose(body.weights.sum(1), torch.ones(body.vertex_count), atol=1e-6)
    assert torch.allclose(body.stretch.sum(1), torch.ones(body.vertex_count), atol=1e-5)
    assert (body.weights > 0).sum(1).max() <= 9


def test_proportions_are_those_of_average_adults(body):
    height = body.v_template[:, 1]
    stature = float(height.max() - height.min())

    def level(name):
        return float(body.joints_template[JOINT_IDS[name], 1] - height.min()) / stature

    assert stature == pytest.approx(1.70, abs=0.01)
    assert level("left_hip") == pytest.approx(0.52, abs=0.01)
    assert level("left_knee") == pytest.approx(0.28, abs=0.015)
    assert level("left_shoulder") == pytest.approx(0.81, abs=0.015)
    assert level("left_eye") == pytest.approx(0.936, abs=0.01)


def test_pelvis_turns_about_the_hips(body):
    hips = body.joints_template[[JOINT_IDS["left_hip"], JOINT_IDS["right_hip"]], 2]
    assert (hips - body.joints_template[0, 2]).abs().max() < 0.005


def test_jaw_open_is_a_pure_turn_of_the_jaw(body):
    units, jaw = body.face_units, body.joints_template[JOINT_IDS["jaw"]]
    teeth = body.regions.part("teeth")
    lower = teeth[body.weights[teeth, JOINT_IDS["jaw"]] > 0.9]
    start = body.v_template[lower] - jaw
    end = start + units.offsets_of({"jawOpen": 1.0})[lower]
    u, _, vt = torch.linalg.svd(end.T @ start)
    turn = u @ vt
    assert (start @ turn.T - end).norm(dim=1).max() < 1.5e-3
    angle = torch.rad2deg(torch.acos((turn.trace() - 1) / 2))
    assert 18 < angle < 25


def test_every_part_and_side_has_vertices(body):
    for name in PART_NAMES:
        assert len(body.regions.part(name)) > 0, name
    for pair in ("ear", "eyeball", "toes", "sole", "shoe", "index", "palm", "eyelids"):
        left = body.regions.vertices(f"left_{pair}")
        right = body.regions.vertices(f"right_{pair}")
        assert torch.equal(body.mirror_vertices[left].sort().values, right), pair
    assert body.regions.mask("scalp", "ears").sum() > 500


def test_unknown_names_are_refused_with_the_known_ones(body):
    with pytest.raises(InputError, match="scalp"):
        body.regions.vertices("tail")
    with pytest.raises(InputError, match="jawOpen"):
        body.face_units.offsets_of({"earWiggle": 1.0})


@pytest.mark.parametrize(
    ("name", "count"),
    [("mediapipe_face", 478), ("face51", 51), ("contour17", 17), ("mediapipe_pose", 15)],
)
def test_landmarks_lie_on_the_surface(body, name, count):
    points = getattr(body.landmarks, name)
    assert len(points.ids) == count
    assert points.barycentric.min() >= 0
    assert torch.allclose(points.barycentric.sum(1), torch.ones(count), atol=1e-5)
    known = {tuple(sorted(face)) for face in body.faces.tolist()}
    for corners in points.triangles.tolist():
        assert len(set(corners)) == 1 or tuple(sorted(corners)) in known


def test_landmarks_are_where_they_should_be(body):
    posed = body.forward(rest_params())
    face = body.landmarks.mediapipe_face.on(posed.vertices)
    nose_tip, chin, left_iris = face[1], face[152], face[473]
    assert abs(nose_tip[0]) < 2e-3
    assert nose_tip[2] == pytest.approx(float(face[:, 2].max()), abs=4e-3)
    assert chin[1] < face[1, 1] - 0.05
    assert (left_iris - posed.joints[JOINT_IDS["left_eye"]]).norm() < 0.02
    assert left_iris[0] > 0
    pose = body.landmarks.pose33(posed.vertices, posed.joints)
    assert pose.shape == (33, 3)
    assert torch.unique(pose, dim=0).shape[0] == 33
    assert (pose[[7, 9, 11, 15, 23, 29, 31], 0] > 0).all()  # left is at positive x
    hand = body.landmarks.hand21("left", posed.vertices, posed.joints)
    assert hand[12, 0] == pytest.approx(float(posed.vertices[:, 0].max()), abs=5e-3)


def test_subset_finds_the_same_landmarks(body):
    points = body.landmarks.mediapipe_face
    ids = points.triangles.unique()
    few = body.subset(ids).forward(rest_params())
    all_vertices = body.forward(rest_params())
    assert torch.allclose(
        points.renumbered(ids).on(few.vertices), points.on(all_vertices.vertices), atol=1e-6
    )


def test_skin_is_smooth_with_arms_overhead(body):
    """Stretched armpits may be long, but no triangle may turn over in them."""
    params = rest_params()
    pose = params.body_pose.clone()
    pose[15, 2], pose[16, 2] = 1.1, -1.1
    pose[12, 2], pose[13, 2] = 0.4, -0.4
    posed = body.forward(
        params.with_full_pose(torch.cat([torch.zeros(1, 3), pose, torch.zeros(33, 3)]))
    )
    rest, now = (vertex_normals(v, body.faces) for v in (posed.rest_vertices, posed.vertices))
    torso = body.regions.mask("torso", "left_upper_arm", "right_upper_arm")
    edges = body.faces[torso[body.faces].all(1)]
    normals = now[edges]
    agree = (normals[:, 0] * normals[:, 1]).sum(1)
    before = rest[edges]
    agreed = (before[:, 0] * before[:, 1]).sum(1)
    assert np.quantile((agreed - agree).numpy(), 0.999) < 0.9
    assert torch.isfinite(now).all()
