"""How Gaussians are spread: exactly as many as asked for, denser where people look."""

import numpy as np
import pytest
import torch

from persona.optimization.limbs import Limb
from persona.optimization.population import CUFF, FRONT_IMPORTANCE, IMPORTANCE, populate

FIELDS = ("means", "normals", "quats_wxyz", "log_scales", "rest_means", "rest_body", "limb")


@pytest.mark.parametrize("count", [500, 3001, 6000])
def test_the_count_is_exact(dressed, view, count):
    cloud = populate(dressed, view, count=count, seed=0)
    assert cloud.count == count
    assert all(len(getattr(cloud, name)) == count for name in FIELDS)
    assert len(cloud.binding.face_ids) == len(cloud.is_hair) == count


def test_same_seed_same_bits(dressed, view, cloud):
    again = populate(dressed, view, count=cloud.count, seed=0)
    assert all(torch.equal(getattr(again, n), getattr(cloud, n)) for n in FIELDS)
    assert torch.equal(again.binding.bone_weights, cloud.binding.bone_weights)


def test_another_seed_spreads_otherwise(dressed, view, cloud):
    other = populate(dressed, view, count=cloud.count, seed=5)
    assert not torch.equal(other.means, cloud.means)


def test_rows_are_well_formed(cloud):
    torch.testing.assert_close(cloud.normals.norm(dim=1), torch.ones(cloud.count))
    torch.testing.assert_close(cloud.quats_wxyz.norm(dim=1), torch.ones(cloud.count))
    torch.testing.assert_close(cloud.binding.bone_weights.sum(1), torch.ones(cloud.count))
    assert set(cloud.is_hair.tolist()) == {0.0, 1.0}
    # Flat, and of the size of the gaps: a third of a millimetre to eight centimetres.
    assert float(cloud.log_scales.exp().min()) > 3e-4
    assert float(cloud.log_scales.exp().max()) < 0.08


def test_hair_is_labelled_and_lies_at_the_head(cloud):
    hair = cloud.is_hair > 0.5
    assert hair.any()
    assert (cloud.limb[hair] == Limb.HEAD).all()
    head = cloud.means[(cloud.limb == Limb.HEAD) & ~hair]
    gap = torch.cdist(cloud.means[hair], head).min(1).values
    assert float(gap.median()) < 0.05


def density(cloud, dressed, view, limb, *, facing):
    """Gaussians per square metre on the triangles of a limb that face the camera, or not."""
    faces = dressed.faces
    a, b, c = (dressed.vertices[faces[:, i]] for i in range(3))
    cross = torch.linalg.cross(b - a, c - a)
    toward = torch.nn.functional.normalize(view.camera.position - a, dim=1)
    cosine = (torch.nn.functional.normalize(cross, dim=1) * toward).sum(1)
    mine = (torch.from_numpy(dressed.limbs)[faces] == limb).all(1)
    mine &= (cosine > 0.5) if facing else (cosine < -0.1)
    counts = torch.bincount(
        cloud.binding.face_ids.clamp_min(0)[cloud.is_hair < 0.5], minlength=len(faces)
    )
    return float(counts[mine].sum() / (cross[mine].norm(dim=1) / 2).sum())


@pytest.fixture(scope="module")
def crowd(dressed, view):
    """Enough Gaussians to count."""
    return populate(dressed, view, count=40_000, seed=0)


@pytest.mark.parametrize("limb", [Limb.HEAD, Limb.LEFT_HAND, Limb.RIGHT_FOOT], ids=lambda x: x.name)
def test_density_follows_importance(crowd, dressed, view, limb):
    plain = density(crowd, dressed, view, Limb.TORSO, facing=False)
    dense = density(crowd, dressed, view, limb, facing=False)
    assert dense / plain == pytest.approx(IMPORTANCE[limb], rel=0.15)


def test_what_faces_the_camera_is_denser(crowd, dressed, view):
    back = density(crowd, dressed, view, Limb.TORSO, facing=False)
    front = density(crowd, dressed, view, Limb.TORSO, facing=True)
    # A plain top has no detail but its hem and edges.
    assert FRONT_IMPORTANCE - 0.15 < front / back < 1.6 * FRONT_IMPORTANCE


def test_means_lie_on_the_dressed_surfaces(cloud, dressed, view):
    """Posed and at rest: no Gaussian is off its triangle."""
    on_body = (cloud.is_hair < 0.5) & ~cloud.inner
    ids = cloud.binding.face_ids[on_body]
    corners = dressed.faces[ids]
    for vertices, places in (
        (dressed.vertices, cloud.means[on_body]),
        (dressed.rest_vertices, cloud.rest_means[on_body]),
        (dressed.naked_rest, cloud.rest_body[on_body]),
    ):
        expected = (vertices[corners] * cloud.binding.barycentric[on_body][..., None]).sum(1)
        torch.testing.assert_close(places, expected, atol=1e-5, rtol=0)
    assert np.isin(cloud.limb.numpy(), list(Limb)).all()


def test_the_root_of_a_hand_counts_as_arm_and_its_fingers_do_not(dressed, cloud):
    """Sleeves reach over the wrist, and a hand's Gaussians are skin whatever the pixels show."""
    rest = dressed.naked_rest[:, 0]
    for hand, arm, sign in (
        (Limb.LEFT_HAND, Limb.LEFT_ARM, 1),
        (Limb.RIGHT_HAND, Limb.RIGHT_ARM, -1),
    ):
        root = (sign * rest)[torch.from_numpy(dressed.limbs) == hand].min()
        reach = sign * cloud.rest_body[:, 0]
        body = cloud.is_hair < 0.5
        assert float(reach[(cloud.limb == hand) & body].min()) > float(root) + CUFF - 0.01
        assert float(reach[(cloud.limb == arm) & body].max()) > float(root) + CUFF - 0.01
