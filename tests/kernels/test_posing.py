"""Posing: known answers, laws, gradients, refusals, and agreement of the backends."""

from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.core.errors import BackendError, InputError
from persona.geometry.rotations import axis_angle_to_matrix, quaternion_to_matrix
from persona.kernels import Backend, Rig, pose_gaussians
from persona.kernels.posing_native import BLOCK, pack
from persona.kernels.projection_reference import covariance_matrices

ON_CPU = (Backend.REFERENCE, Backend.NATIVE)
VERTICES, BONES, SLOTS = 40, 7, 4


def rig_and_pose(seed, *, count=70, dtype=torch.float32):
    """Gaussians of all kinds on a random body: with flesh and without, on one bone and on four."""
    g = torch.Generator().manual_seed(seed)
    barycentric = torch.rand(count, 3, generator=g)
    barycentric = barycentric / barycentric.sum(1, keepdim=True)
    barycentric[::5] = 0.0  # a shell
    weights = torch.rand(count, SLOTS, generator=g)
    weights[::3, 1:] = 0.0  # one bone
    gradients = 2 * torch.randn(count, SLOTS, 3, generator=g)
    gradients[::3] = 0.0
    rig = Rig(
        means=torch.randn(count, 3, generator=g),
        tangents=quaternion_to_matrix(torch.randn(count, 4, generator=g))[..., :2],
        scales=0.01 * torch.rand(count, 3, generator=g) + 0.001,
        corners=torch.randint(VERTICES, (count, 3), generator=g),
        corner_shares=barycentric,
        bone_ids=torch.randint(BONES, (count, SLOTS), generator=g),  # some rows name one twice
        bone_weights=weights / weights.sum(1, keepdim=True),
        weight_gradients=gradients,
        vertex_count=VERTICES,
        bone_count=BONES,
    )
    bones = torch.eye(4).repeat(BONES, 1, 1)
    bones[:, :3, :3] = axis_angle_to_matrix(0.5 * torch.randn(BONES, 3, generator=g))
    bones[:, :3, 3] = 0.3 * torch.randn(BONES, 3, generator=g)
    flesh = 0.02 * torch.randn(VERTICES, 3, generator=g)
    return changed(rig, lambda value: value.to(dtype)), flesh.to(dtype), bones.to(dtype)


def changed(rig, change):
    """Give the rig with every floating point tensor changed."""
    values = {f.name: getattr(rig, f.name) for f in fields(rig)}
    return replace(
        rig,
        **{
            name: change(value)
            for name, value in values.items()
            if isinstance(value, torch.Tensor) and value.is_floating_point()
        },
    )


def one_gaussian(**given):
    standing = {
        "means": torch.tensor([[0.0, 1.0, 0.0]]),
        "tangents": torch.eye(3)[None, :, :2],
        "scales": torch.tensor([[0.1, 0.2, 0.01]]),
        "corners": torch.tensor([[0, 1, 2]]),
        "corner_shares": torch.tensor([[0.5, 0.25, 0.25]]),
        "bone_ids": torch.tensor([[0]]),
        "bone_weights": torch.tensor([[1.0]]),
        "weight_gradients": torch.zeros(1, 1, 3),
        "vertex_count": 3,
        "bone_count": 1,
    }
    return Rig(**{**standing, **given})


@pytest.mark.parametrize("backend", ON_CPU)
def test_at_rest_nothing_moves(backend):
    rig = one_gaussian()
    means, covariances, normals = pose_gaussians(
        rig, torch.zeros(3, 3), torch.eye(4)[None], backend=backend
    )
    torch.testing.assert_close(means, rig.means)
    torch.testing.assert_close(covariances, torch.tensor([[0.01, 0, 0, 0.04, 0, 0.0001]]))
    torch.testing.assert_close(normals, torch.tensor([[0.0, 0.0, 1.0]]))


@pytest.mark.parametrize("backend", ON_CPU)
def test_flesh_is_read_by_its_shares_and_carried_by_the_bone(backend):
    flesh = torch.tensor([[0.4, 0.0, 0.0], [0.0, 0.4, 0.0], [0.0, 0.0, 0.4]])
    quarter = torch.eye(4)
    quarter[:3, :3] = axis_angle_to_matrix(torch.tensor([0.0, 0.0, torch.pi / 2]))
    means, _, _ = pose_gaussians(one_gaussian(), flesh, quarter[None], backend=backend)
    # (0.2, 1.1, 0.1) turned by a quarter about z.
    torch.testing.assert_close(means, torch.tensor([[-1.1, 0.2, 0.1]]))


@pytest.mark.parametrize("backend", ON_CPU)
@pytest.mark.parametrize(("pull", "stretch"), [(1.0, 2.0), (10.0, 3.0)])
def test_a_surface_pulled_apart_lengthens_its_gaussians_up_to_the_limit(backend, pull, stretch):
    # Two bones part along x by `pull`; the second's share grows by one a metre.
    apart = torch.eye(4).repeat(2, 1, 1)
    apart[1, 0, 3] = pull
    rig = one_gaussian(
        bone_ids=torch.tensor([[0, 1]]),
        bone_weights=torch.tensor([[0.5, 0.5]]),
        weight_gradients=torch.tensor([[[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]]),
        bone_count=2,
    )
    means, covariances, _ = pose_gaussians(rig, torch.zeros(3, 3), apart, backend=backend)
    torch.testing.assert_close(means, torch.tensor([[pull / 2, 1.0, 0.0]]))
    expected = torch.tensor([[(0.1 * stretch) ** 2, 0, 0, 0.04, 0, 0.0001]])
    torch.testing.assert_close(covariances, expected)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_moving_the_whole_body_moves_means_covariances_and_normals_rigidly(seed):
    rig, flesh, bones = rig_and_pose(seed, dtype=torch.float64)
    whole = torch.eye(4, dtype=torch.float64)
    axis = torch.randn(3, generator=torch.Generator().manual_seed(seed))
    whole[:3, :3] = axis_angle_to_matrix(axis.double())
    whole[:3, 3] = axis
    # Weights sum to one, also in float64, so that their gradients sum to zero.
    rig = replace(
        rig,
        bone_weights=rig.bone_weights / rig.bone_weights.sum(1, keepdim=True),
        weight_gradients=rig.weight_gradients - rig.weight_gradients.mean(1, keepdim=True),
    )
    means, covariances, normals = pose_gaussians(rig, flesh, bones)
    turn = whole[:3, :3]
    moved = pose_gaussians(rig, flesh, whole @ bones)
    torch.testing.assert_close(moved[0], means @ turn.T + whole[:3, 3])
    full = turn @ covariance_matrices(covariances) @ turn.T
    torch.testing.assert_close(covariance_matrices(moved[1]), full, rtol=1e-6, atol=1e-10)
    torch.testing.assert_close(moved[2], normals @ turn.T)


@pytest.mark.parametrize("count", [1, 15, 16, 17, 1025, 5000])
def test_native_agrees_with_the_reference(isa, count):
    rig, flesh, bones = rig_and_pose(count, count=count)
    exact = pose_gaussians(
        changed(rig, torch.Tensor.double),
        flesh.double(),
        bones.double(),
        backend=Backend.REFERENCE,
    )
    means, covariances, normals = pose_gaussians(rig, flesh, bones, backend=Backend.NATIVE)
    assert (means - exact[0]).abs().max() < 1e-5
    size = exact[1].abs().amax(1, keepdim=True)
    assert ((covariances - exact[1]).abs() / size).max() < 1e-4
    # A surface folded edge on has no normal to speak of.
    assert (normals - exact[2]).norm(dim=1).quantile(0.99) < 1e-4
    assert (normals.norm(dim=1) - 1).abs().max() < 1e-5


def test_any_number_of_threads_gives_the_same_bits(isa):
    rig, flesh, bones = rig_and_pose(3, count=9_001)
    alone = pose_gaussians(rig, flesh, bones, backend=Backend.NATIVE, threads=1)
    for threads in (2, 3, 8):
        together = pose_gaussians(rig, flesh, bones, backend=Backend.NATIVE, threads=threads)
        assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_strided_inputs_give_the_same_bits():
    rig, flesh, bones = rig_and_pose(4)
    expected = pose_gaussians(rig, flesh, bones, backend=Backend.NATIVE)
    strided = flesh.T.contiguous().T, bones.mT.contiguous().mT
    got = pose_gaussians(changed(rig, lambda v: v.mT.contiguous().mT), *strided)
    assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))


def test_nobody_to_pose_is_no_problem():
    rig, flesh, bones = rig_and_pose(5, count=0)
    for backend in ON_CPU:
        shapes = [tuple(v.shape) for v in pose_gaussians(rig, flesh, bones, backend=backend)]
        assert shapes == [(0, 3), (0, 6), (0, 3)]


def test_a_block_lists_each_bone_it_needs_once():
    rig, _, _ = rig_and_pose(6, count=3 * BLOCK + 1)
    blocks = pack(rig)
    begins = blocks.share_begin.tolist()
    assert len(begins) == 5
    for block in range(4):
        bones = blocks.share_bones[begins[block] : begins[block + 1]].tolist()
        rows = slice(BLOCK * block, BLOCK * (block + 1))
        held = (rig.bone_weights[rows] != 0) | (rig.weight_gradients[rows] != 0).any(2)
        assert bones == sorted(set(rig.bone_ids[rows][held].tolist()))
    weights = blocks.shares[:, 0].sum(0)
    assert weights.sum() == pytest.approx(rig.means.shape[0], rel=1e-5)


def test_gradients_are_the_reference_s_and_right():
    rig, flesh, bones = rig_and_pose(7, count=6, dtype=torch.float64)
    leaves = [t.requires_grad_() for t in (flesh, bones, rig.means.clone(), rig.scales.clone())]

    def posed(flesh, bones, means, scales):
        return pose_gaussians(replace(rig, means=means, scales=scales), flesh, bones)

    assert torch.autograd.gradcheck(posed, leaves)


def test_wanting_a_gradient_chooses_the_reference_and_no_gradient_the_native_core():
    rig, flesh, bones = rig_and_pose(8)
    wanted = pose_gaussians(rig, flesh, bones.clone().requires_grad_())
    assert wanted[0].requires_grad
    with torch.no_grad():
        unwanted = pose_gaussians(rig, flesh, bones.clone().requires_grad_())
    native = pose_gaussians(rig, flesh, bones, backend=Backend.NATIVE)
    assert all(torch.equal(a, b) for a, b in zip(unwanted, native, strict=True))
    with pytest.raises(BackendError, match="gradient of native posing"):
        pose_gaussians(rig, flesh, bones.requires_grad_(), backend=Backend.NATIVE)


def moved(count, dtype=torch.float32):
    """Offsets and scales of every Gaussian; some surfaces are pulled beyond the limit."""
    g = torch.Generator().manual_seed(count)
    offsets = 0.05 * torch.randn(count, 3, generator=g)
    scales = 0.02 * torch.rand(count, 3, generator=g) + 0.001
    return offsets.to(dtype), scales.to(dtype)


@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize("given", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("count", [1, 17, 1025])
def test_moved_and_resized_gaussians_agree_in_value_and_gradient(isa, count, given, turns):
    rig, flesh, bones = rig_and_pose(count, count=count)
    exact = changed(rig, torch.Tensor.double), flesh.double(), bones.double()
    g = torch.Generator().manual_seed(1)
    towards = [torch.randn(count, width, generator=g) for width in (3, 6, 3)]
    slopes = 0.3 * torch.randn(count, 3, 3, generator=g)

    def run(rig, flesh, bones, backend):
        rows = [
            value.to(flesh.dtype).requires_grad_() if wanted else None
            for value, wanted in zip(moved(count), given, strict=True)
        ]
        got = pose_gaussians(
            rig,
            flesh,
            bones,
            offsets=rows[0],
            scales=rows[1],
            slopes=slopes.to(flesh.dtype) if turns else None,
            max_stretch=1.5,
            backend=backend,
        )
        loss = sum((v * t.to(v.dtype)).sum() for v, t in zip(got, towards, strict=True))
        loss.backward()
        return got, [row.grad for row in rows if row is not None]

    values, gradients = run(rig, flesh, bones, Backend.NATIVE)
    wanted, slopes = run(*exact, Backend.REFERENCE)
    for value, target in zip(values[:2], wanted[:2], strict=True):
        assert (value - target).abs().max() < 1e-5 + 1e-4 * target.abs().max()
    for gradient, slope in zip(gradients, slopes, strict=True):
        # A surface folded edge on has a normal that turns at a touch.
        apart = (gradient - slope).norm(dim=1) / (slope.norm(dim=1) + 1e-3)
        assert apart.quantile(0.98) < 1e-3


def test_any_number_of_threads_gives_the_same_gradients():
    rig, flesh, bones = rig_and_pose(3, count=5_001)

    def gradients(threads):
        rows = [value.requires_grad_() for value in moved(5_001)]
        got = pose_gaussians(rig, flesh, bones, offsets=rows[0], scales=rows[1], threads=threads)
        sum(value.square().sum() for value in got).backward()
        return [row.grad for row in rows]

    for threads in (2, 8):
        pairs = zip(gradients(1), gradients(threads), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", ["offsets", "scales"])
def test_rows_of_other_gaussians_are_refused(name):
    rig, flesh, bones = rig_and_pose(10)
    with pytest.raises(InputError, match=f"{name} has shape"):
        pose_gaussians(rig, flesh, bones, **{name: torch.zeros(3, 3)})
    with pytest.raises(InputError, match=name):
        pose_gaussians(rig, flesh, bones, **{name: torch.full_like(rig.means, float("nan"))})


@pytest.mark.parametrize(("name", "message"), [("corners", "corners"), ("bone_ids", "bone_ids")])
@pytest.mark.parametrize("bad", [-1, 1000])
def test_ids_that_point_nowhere_are_refused(name, message, bad):
    ids = torch.full((1, 3 if name == "corners" else 1), bad)
    with pytest.raises(InputError, match=f"{message} spans"):
        one_gaussian(**{name: ids})


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="scales holds 1 entries that are not finite"):
        one_gaussian(scales=torch.tensor([[0.1, float("nan"), 0.1]]))
    with pytest.raises(InputError, match="flesh"):
        pose_gaussians(one_gaussian(), torch.full((3, 3), float("inf")), torch.eye(4)[None])


def test_another_body_s_flesh_or_bones_are_refused():
    with pytest.raises(InputError, match="flesh has shape"):
        pose_gaussians(one_gaussian(), torch.zeros(4, 3), torch.eye(4)[None])
    with pytest.raises(InputError, match="T_posed_rest has shape"):
        pose_gaussians(one_gaussian(), torch.zeros(3, 3), torch.eye(4).repeat(2, 1, 1))
    with pytest.raises(InputError, match=r"T_posed_rest is torch\.float64"):
        pose_gaussians(one_gaussian(), torch.zeros(3, 3), torch.eye(4).double()[None])


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_stretch_limit_without_sense_is_refused(limit):
    rig, flesh, bones = rig_and_pose(9)
    with pytest.raises(InputError, match="max_stretch"):
        pose_gaussians(rig, flesh, bones, max_stretch=limit)
