"""Projection and splatting together, on two hundred scenes with every corner among them: the native
core against the reference, and laws that hold for any picture."""

from dataclasses import replace

import torch

from persona.geometry.rotations import matrix_to_quaternion, quaternion_to_matrix
from persona.kernels import Backend, project_oriented, rasterize

SCENES = 200
CLOSEST = 1e-5
"""Neighbours in depth that are nearer to each other than this may change places by rounding [m]."""


def draw(scene, backend=None, *, scale=1.0, upstream=None, sure=None):
    """The picture and its alpha, and the gradients of all leaves where one is asked for."""
    leaves = [leaf.detach().clone().requires_grad_(upstream is not None) for leaf in scene.leaves]
    means2d, conics, depths = project_oriented(
        leaves[0], scale * leaves[1], leaves[2], scene.camera, backend=backend
    )
    size = {"width": scene.camera.width, "height": scene.camera.height}
    image, alpha = rasterize(means2d, conics, *leaves[3:], depths.detach(), **size, backend=backend)
    if upstream is None:
        return image, alpha
    loss = (torch.cat([image, alpha[None]]) * (upstream * sure).to(image)).sum()
    return image.detach(), alpha.detach(), torch.autograd.grad(loss, leaves)


def decided_of(scene, decided):
    """Tell the pixels that no rounding tips over a cut-off."""
    exact = scene.double()
    means2d, conics, depths = project_oriented(*exact.leaves[:3], exact.camera)
    window = (0, 0, scene.camera.width, scene.camera.height)
    return decided(means2d, conics, exact.opacities, depths, window)


def in_order(scene):
    """Tell whether rounding cannot swap two Gaussians in depth."""
    depths = scene.camera.to_camera(scene.means.double())[:, 2].sort().values
    return len(depths) < 2 or float(depths.diff().min()) > CLOSEST


def test_native_agrees_with_the_reference_in_every_corner(isa, make_corner, decided):
    looked_at = 0
    for seed in range(SCENES):
        scene = make_corner(seed)
        if not in_order(scene):
            continue
        looked_at += 1
        sure = decided_of(scene, decided)
        g = torch.Generator().manual_seed(seed)
        upstream = torch.randn(5, *sure.shape, generator=g)
        got = draw(scene, Backend.NATIVE, upstream=upstream, sure=sure)
        wanted = draw(scene.double(), Backend.REFERENCE, upstream=upstream, sure=sure)
        for value, exact in zip(got[:2], wanted[:2], strict=True):
            assert float(((value - exact) * sure).abs().max()) <= 1e-4, seed
        for value, exact in zip(got[2], wanted[2], strict=True):
            assert torch.isfinite(value).all(), seed
            assert cosine(value, exact) >= 0.9999, seed
    assert looked_at > 0.8 * SCENES


def cosine(a, b):
    """Of the angle between two gradients; those that are nothing agree with each other."""
    a, b = a.double().flatten(), b.flatten()
    small = 1e-7
    if float(a.norm()) < small and float(b.norm()) < small:
        return 1.0
    return float(a @ b / (a.norm() * b.norm()))


def test_rows_and_signs_of_quaternions_do_not_matter(isa, make_corner):
    for seed in range(SCENES):
        scene = make_corner(seed)
        image, alpha = draw(scene)
        negative = draw(scene, scale=-1.0)
        shuffle = torch.randperm(len(scene.means), generator=torch.Generator().manual_seed(seed))
        shuffled = draw(scene.with_leaves([leaf[shuffle] for leaf in scene.leaves]))
        for other in (negative, shuffled):
            assert torch.equal(other[0], image), seed
            assert torch.equal(other[1], alpha), seed


def test_moving_scene_and_camera_together_changes_no_picture(isa, make_corner, decided):
    for seed in range(SCENES):
        scene = make_corner(seed)
        if not in_order(scene):
            continue
        g = torch.Generator().manual_seed(seed)
        turn = quaternion_to_matrix(torch.randn(4, generator=g, dtype=torch.float64))
        shift = torch.randn(3, generator=g, dtype=torch.float64)
        T = torch.eye(4, dtype=torch.float64)
        T[:3, :3], T[:3, 3] = turn, shift
        quats = turn @ quaternion_to_matrix(scene.quats_wxyz.double())
        leaves = [scene.means.double() @ turn.T + shift, matrix_to_quaternion(quats)]
        moved = scene.with_leaves([*(leaf.float() for leaf in leaves), *scene.leaves[2:]])
        seen_from = scene.camera.T_camera_world.double() @ torch.linalg.inv(T)
        moved = replace(moved, camera=replace(scene.camera, T_camera_world=seen_from))
        sure = decided_of(scene, decided) & decided_of(moved, decided)
        before, after = draw(scene), draw(moved)
        for value, expected in zip(after, before, strict=True):
            # Rounding the moved means to float32 moves them by up to 1e-4 pixels.
            assert float(((value - expected) * sure).abs().max()) <= 5e-4, seed


def test_a_window_of_any_picture_is_a_part_of_it(isa, make_corner, decided):
    for seed in range(SCENES):
        scene = make_corner(seed)
        means2d, conics, depths = project_oriented(*scene.leaves[:3], scene.camera)
        inputs = (means2d, conics, *scene.leaves[3:], depths)
        width, height = scene.camera.width, scene.camera.height
        left, top = seed % width, seed // 7 % height
        window = {"left": left, "top": top, "width": width - left, "height": height - top}
        image, alpha = rasterize(*inputs, **window)
        whole, whole_alpha = rasterize(*inputs, width=width, height=height)
        sure = decided_of(scene, decided)[top:, left:]
        assert float(((image - whole[:, top:, left:]) * sure).abs().max()) <= 1e-5, seed
        assert float(((alpha - whole_alpha[top:, left:]) * sure).abs().max()) <= 1e-5, seed


def test_two_coincident_halves_make_the_whole_at_the_mean(isa):
    """Opacity 1 - sqrt(1 - o) twice lets as much light through as o once, where it is densest."""
    g = torch.Generator().manual_seed(0)
    for seed in range(SCENES):
        opacity = 0.9 * torch.rand(1, generator=g) + 0.05
        row, column = (int(torch.randint(0, 19, (1,), generator=g)) for _ in range(2))
        mean = torch.tensor([[column + 0.5, row + 0.5]])
        conic = torch.tensor([[0.3, 0.1, 0.2]]) * torch.rand(1, generator=g) + 1e-4
        inputs = (mean, conic, opacity, torch.rand(1, 3, generator=g), torch.ones(1))
        halves = [value.repeat(2, *[1] * (value.dim() - 1)) for value in inputs]
        halves[2] = 1 - (1 - halves[2]).sqrt()
        whole = rasterize(*inputs, width=19, height=19)
        twice = rasterize(*halves, width=19, height=19)
        for value, expected in zip(twice, whole, strict=True):
            got, wanted = value[..., row, column], expected[..., row, column]
            assert torch.allclose(got, wanted, rtol=1e-5, atol=1e-6), seed
