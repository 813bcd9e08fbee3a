"""Drawing a pose at once: agreement with the single steps and the reference, laws, refusals."""

from dataclasses import fields, replace

import pytest
import torch

from persona.core.errors import BackendError, InputError
from persona.geometry.cameras import Camera, look_at
from persona.kernels import (
    Puppet,
    PuppetPose,
    draw_posed,
    pose_gaussians,
    project_gaussians,
    rasterize,
)
from persona.kernels.bending_reference import bend_bones, bend_flesh
from tests.kernels.test_posing import BONES, ON_CPU, VERTICES, changed, rig_and_pose

EXPRESSIONS, CORRECTIVES = 3, 60
CAMERA = Camera(
    width=53,
    height=37,
    focal_px=40.0,
    center_px=(25.0, 19.0),
    T_camera_world=look_at(torch.tensor([0.4, 0.3, 4.0]), torch.zeros(3)),
)


def puppet_and_pose(seed, *, count=150, channels=3, offsets=False, dtype=torch.float32):
    """A random body of a few bones, with correctives that name a vertex twice."""
    g = torch.Generator().manual_seed(seed)
    rig, _, _ = rig_and_pose(seed, count=count)
    # Shares that sum to one have gradients that sum to zero.
    flat = rig.weight_gradients - rig.weight_gradients.mean(1, keepdim=True)
    rig = replace(rig, scales=4 * rig.scales, weight_gradients=flat)
    puppet = Puppet(
        rig=changed(rig, lambda value: value.to(dtype)),
        opacities=torch.rand(count, generator=g).to(dtype),
        features=torch.rand(count, channels, generator=g).to(dtype),
        parents=torch.tensor([-1, 0, 1, 1, 3, -1, 2])[:BONES],
        rest_joints=torch.randn(BONES, 3, generator=g).to(dtype),
        joint_dirs=(0.02 * torch.randn(BONES, 3, EXPRESSIONS, generator=g)).to(dtype),
        expression_dirs=(0.02 * torch.randn(VERTICES, 3, EXPRESSIONS, generator=g)).to(dtype),
        corrective_joints=torch.randint(BONES, (CORRECTIVES,), generator=g),
        corrective_vertices=torch.randint(VERTICES, (CORRECTIVES,), generator=g),
        corrective_directions=(0.02 * torch.randn(CORRECTIVES, 3, 9, generator=g)).to(dtype),
    )
    rotations = 0.4 * torch.randn(BONES, 3, generator=g)
    rotations[0], rotations[1] = 0.0, torch.tensor([1e-8, -1e-8, 1e-8])
    more = {
        "vertex_offsets": (VERTICES, 3),
        "gaussian_offsets": (count, 3),
        "gaussian_slopes": (count, 3, 3),
    }
    more = more if offsets else {}
    pose = PuppetPose(
        rotations=rotations.to(dtype),
        expression=torch.randn(EXPRESSIONS, generator=g).to(dtype),
        translation=(0.1 * torch.randn(3, generator=g)).to(dtype),
        **{name: (0.05 * torch.randn(*s, generator=g)).to(dtype) for name, s in more.items()},
    )
    return puppet, pose


def exact(puppet, pose):
    """The same numbers in float64."""

    def cast(record):
        values = {f.name: getattr(record, f.name) for f in fields(record)}
        return {
            name: value.double() if torch.is_tensor(value) and value.is_floating_point() else value
            for name, value in values.items()
        }

    rig = changed(puppet.rig, torch.Tensor.double)
    return Puppet(**{**cast(puppet), "rig": rig}), PuppetPose(**cast(pose))


def ellipses_of(puppet, pose):
    """Ellipses of the posed puppet, in its precision."""
    from persona.geometry.rotations import axis_angle_to_matrix

    turns = axis_angle_to_matrix(pose.rotations)
    joints = puppet.rest_joints + puppet.joint_dirs @ pose.expression
    bones = bend_bones(puppet.parents, joints, turns, pose.translation)
    flesh = bend_flesh(puppet, pose, turns)
    rig = puppet.rig
    if pose.gaussian_offsets is not None:
        turned = rig.tangents + pose.gaussian_slopes @ rig.tangents
        rig = replace(rig, means=rig.means + pose.gaussian_offsets, tangents=turned)
    means, covariances, _ = pose_gaussians(rig, flesh, bones)
    return means, project_gaussians(means, covariances, CAMERA)


@pytest.mark.parametrize("offsets", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_native_agrees_with_the_reference(isa, seed, offsets, decided):
    puppet, pose = puppet_and_pose(seed, offsets=offsets)
    got = draw_posed(puppet, pose, CAMERA)
    wanted = draw_posed(*exact(puppet, pose), CAMERA)
    _, (means2d, conics, depths) = ellipses_of(*exact(puppet, pose))
    window = (0, 0, CAMERA.width, CAMERA.height)
    sure = decided(means2d, conics, puppet.opacities.double(), depths, window)
    assert sure.float().mean() > 0.5
    assert wanted.alpha.max() > 0.5
    assert float((got.means - wanted.means).abs().max()) < 1e-5
    assert float(((got.image - wanted.image) * sure).abs().max()) < 1e-4
    assert float(((got.alpha - wanted.alpha) * sure).abs().max()) < 1e-4


def test_one_call_draws_what_the_steps_draw():
    puppet, pose = puppet_and_pose(7, count=3000, offsets=True)
    means, (means2d, conics, depths) = ellipses_of(puppet, pose)
    size = {"width": CAMERA.width, "height": CAMERA.height}
    image, alpha = rasterize(means2d, conics, puppet.opacities, puppet.features, depths, **size)
    got = draw_posed(puppet, pose, CAMERA)
    torch.testing.assert_close(got.means, means, rtol=0, atol=1e-5)
    # Rounding swaps neighbours in depth and tips single pixels over a cut-off.
    assert float(((got.image - image).abs() > 1e-4).float().mean()) < 0.01
    assert float(((got.alpha - alpha).abs() > 1e-4).float().mean()) < 0.01


def test_any_number_of_threads_gives_the_same_bits(isa):
    puppet, pose = puppet_and_pose(3, count=9_001, offsets=True)
    alone = draw_posed(puppet, pose, CAMERA, threads=1)
    for threads in (2, 3, 8):
        together = draw_posed(puppet, pose, CAMERA, threads=threads)
        for name in ("image", "alpha", "means"):
            assert torch.equal(getattr(together, name), getattr(alone, name))


@pytest.mark.parametrize("backend", ON_CPU)
def test_moving_the_puppet_and_the_camera_together_changes_nothing(backend):
    puppet, pose = puppet_and_pose(4)
    shift = torch.tensor([0.5, -0.25, 0.125])
    T = CAMERA.T_camera_world.clone()
    T[:3, 3] -= T[:3, :3] @ shift
    before = draw_posed(puppet, pose, CAMERA, backend=backend)
    moved = replace(pose, translation=pose.translation + shift)
    after = draw_posed(puppet, moved, replace(CAMERA, T_camera_world=T), backend=backend)
    torch.testing.assert_close(after.means, before.means + shift, rtol=0, atol=1e-5)
    assert float(((after.image - before.image).abs() > 1e-4).float().mean()) < 0.01


@pytest.mark.parametrize("backend", ON_CPU)
@pytest.mark.parametrize("name", ["vertex_offsets", "gaussian_offsets", "gaussian_slopes"])
def test_offsets_of_zero_are_no_offsets(backend, name):
    puppet, pose = puppet_and_pose(5)
    count = len(puppet.rig.means)
    shape = {
        "vertex_offsets": (VERTICES, 3),
        "gaussian_offsets": (count, 3),
        "gaussian_slopes": (count, 3, 3),
    }[name]
    plain = draw_posed(puppet, pose, CAMERA, backend=backend)
    zero = draw_posed(puppet, replace(pose, **{name: torch.zeros(shape)}), CAMERA, backend=backend)
    assert torch.equal(zero.image, plain.image)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 255, 257, 1025])
@pytest.mark.parametrize("channels", [1, 5, 32])
def test_any_count_and_any_channels_are_drawn(count, channels):
    puppet, pose = puppet_and_pose(6, count=count, channels=channels, offsets=True)
    drawn = draw_posed(puppet, pose, CAMERA)
    assert drawn.image.shape == (channels, 37, 53)
    assert drawn.means.shape == (count, 3)
    expected = draw_posed(*exact(puppet, pose), CAMERA)
    assert float(((drawn.alpha - expected.alpha).abs() > 1e-4).float().mean()) < 0.01


def test_scattered_memory_is_read_right():
    puppet, pose = puppet_and_pose(8, offsets=True)
    scattered = {name: torch.stack([v, v], -1)[..., 0] for name, v in pose.tensors.items()}
    assert not scattered["rotations"].is_contiguous()
    got = draw_posed(puppet, PuppetPose(**scattered), CAMERA)
    assert torch.equal(got.image, draw_posed(puppet, pose, CAMERA).image)


def test_what_does_not_fit_is_refused_before_native_code():
    puppet, pose = puppet_and_pose(9)
    nan = pose.rotations.clone()
    nan[2, 1] = float("nan")
    with pytest.raises(InputError, match="rotations holds 1 entries that are not finite"):
        draw_posed(puppet, replace(pose, rotations=nan), CAMERA)
    with pytest.raises(InputError, match=r"expression has shape \(4,\)"):
        draw_posed(puppet, replace(pose, expression=torch.zeros(4)), CAMERA)
    with pytest.raises(InputError, match=r"gaussian_offsets has shape \(3, 3\)"):
        draw_posed(puppet, replace(pose, gaussian_offsets=torch.zeros(3, 3)), CAMERA)
    with pytest.raises(InputError, match=r"gaussian_slopes has shape \(4, 3, 3\)"):
        draw_posed(puppet, replace(pose, gaussian_slopes=torch.zeros(4, 3, 3)), CAMERA)
    with pytest.raises(InputError, match=r"vertex_offsets is torch\.float64"):
        draw_posed(puppet, replace(pose, vertex_offsets=torch.zeros(VERTICES, 3).double()), CAMERA)
    with pytest.raises(InputError, match=r"translation is .* on meta"):
        draw_posed(puppet, replace(pose, translation=torch.zeros(3, device="meta")), CAMERA)
    with pytest.raises(InputError, match="max_stretch"):
        draw_posed(puppet, pose, CAMERA, max_stretch=0.0)
    with pytest.raises(InputError, match="-1 threads"):
        draw_posed(puppet, pose, CAMERA, threads=-1)
    with pytest.raises(BackendError, match="gradient"):
        draw_posed(puppet, replace(pose, rotations=pose.rotations.requires_grad_()), CAMERA)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"parents": torch.tensor([-1, 0, 1, 5, 3, -1, 2])}, "parents is"),
        ({"parents": torch.tensor([-2, 0, 1, 1, 3, -1, 2])}, "parents spans"),
        ({"corrective_joints": torch.full((CORRECTIVES,), BONES)}, "corrective_joints spans"),
        ({"corrective_vertices": torch.full((CORRECTIVES,), -1)}, "corrective_vertices spans"),
        ({"features": torch.zeros(150, 33)}, "33 channels"),
        ({"rest_joints": torch.full((BONES, 3), float("inf"))}, "rest_joints holds"),
    ],
    ids=str,
)
def test_a_puppet_that_points_nowhere_is_refused(spoil, message):
    puppet, _ = puppet_and_pose(10)
    with pytest.raises(InputError, match=message):
        replace(puppet, **spoil)
