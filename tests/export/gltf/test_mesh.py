"""The rigged glTF of triangles: where it is, what it shows, and what is left away."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from persona.avatar.avatar import Avatar, neutral_vertices
from persona.avatar.binding import bind_to_bones, join_bindings
from persona.avatar.posing import CanonicalGaussians
from persona.body.skinning import blend_transforms
from persona.core.conventions import PROVENANCE
from persona.core.errors import InputError
from persona.export.gltf.mesh import four_bones, mesh_surface, write_mesh_glb
from persona.export.surface.dressed import dressing
from persona.export.surface.shells import shells_of
from persona.geometry.rotations import matrix_to_quaternion
from persona.records.body_params import rest_params
from persona.records.motion import Motion
from persona.records.notice import Notice
from tests.gltf_eval import Glb
from tests.plain_avatar import CLOTH, SKIN, make_plain_avatar

CLOSE = 1e-4
"""What the file may be off by [m]."""
RADIUS, TOP, BOTTOM = 0.3, -0.2, -0.6
"""A skirt that is a tube around the legs [m]."""
RED = torch.tensor([0.8, 0.1, 0.1])


@pytest.fixture(scope="module")
def plain() -> Avatar:
    return make_plain_avatar(20_000)


@pytest.fixture(scope="module")
def skirted(plain) -> Avatar:
    """The plain person in a red tube that hangs on the pelvis."""
    angle = torch.arange(0, 2 * torch.pi, 0.02)
    height = torch.arange(BOTTOM, TOP, 0.006)
    a, y = (grid.flatten() for grid in torch.meshgrid(angle, height, indexing="ij"))
    normal = torch.stack([a.sin(), torch.zeros_like(a), a.cos()], 1)
    up = torch.tensor([0.0, 1.0, 0.0]).expand_as(normal)
    axes = torch.stack([torch.linalg.cross(up, normal), up, normal], 2)
    count, looks = len(a), plain.canonical
    weights = torch.zeros(count, 55)
    weights[:, 0] = 1.0
    sizes = torch.tensor([0.006, 0.006, 0.0006]).log().expand(count, 3)
    place = RADIUS * normal + y[:, None] * torch.tensor([0.0, 1.0, 0.0])
    more = (place, matrix_to_quaternion(axes), sizes, torch.ones(count), RED.expand(count, 3))
    names = ("means", "quats_wxyz", "log_scales", "opacities", "colors")
    joined = {
        name: torch.cat([getattr(looks, name), rows])
        for name, rows in zip(names, more, strict=True)
    }
    return replace(
        plain,
        canonical=CanonicalGaussians(**joined),
        binding=join_bindings(plain.binding, bind_to_bones(weights)),
        seen=torch.cat([plain.seen, torch.zeros(count, dtype=torch.bool)]),
        parts=torch.cat([plain.parts, plain.parts.new_full((count,), 3)]),
    )


@pytest.fixture(scope="module")
def motion() -> Motion:
    generator = torch.Generator().manual_seed(3)
    pose = 0.7 * torch.randn(3, 55, 3, generator=generator)
    transl = torch.randn(3, 3, generator=generator)
    params = replace(rest_params(3).with_full_pose(pose), transl=transl)
    return Motion(params=params, fps=30.0, name="jig")


@pytest.fixture(scope="module")
def written(skirted, motion, tmp_path_factory):
    path = tmp_path_factory.mktemp("mesh") / "ada.glb"
    surface = write_mesh_glb(skirted, [motion], path, Notice(), texels=256)
    return Glb(path), surface


def test_a_naked_body_stays_itself(plain):
    assert dressing(plain).norm(dim=1).quantile(0.99) < 1e-3


def test_cloth_pulls_the_mesh_out(plain):
    off = 0.03 * plain.pose(rest_params()).normals
    trunk = plain.binding.bone_ids[:, 0] == 6  # a thick belt at spine2
    means = plain.canonical.means + torch.where(trunk[:, None], off, 0.0)
    offsets = dressing(replace(plain, canonical=replace(plain.canonical, means=means)))
    main = plain.body.weights.argmax(1)
    moved = offsets.norm(dim=1)
    assert abs(float(moved[main == 6].median()) - 0.03) < 0.004
    assert float(moved[main == 20].max()) < 2e-3


@pytest.mark.parametrize("frame", [0, 2])
def test_it_moves_as_our_skinning(skirted, motion, written, frame):
    glb, surface = written
    body = skirted.body
    params = motion.params.frame(frame)
    bones = body.forward(params).T_posed_rest

    def posed(points, weights):
        ids, shares = four_bones(weights)
        kept = torch.zeros(len(points), 55).scatter_add(1, ids, shares)
        linear, shift = blend_transforms(bones, kept)
        return ((linear @ points[..., None])[..., 0] + shift).numpy()

    node = glb.node_of("shells")
    wanted = posed(surface.shells.vertices, surface.shell_weights)
    assert np.abs(glb.skinned(node, 0, 0, frame) - wanted).max() < CLOSE
    wanted = posed(surface.body_vertices, body.weights)
    found = glb.skinned(glb.node_of("body"), 0, 0, frame)
    # Vertices on seams are there twice, so each found one has a wanted one and the other way.
    prim = glb.json["meshes"][0]["primitives"][0]
    corners = glb.array(prim["indices"])[:, 0]
    ours = body.faces.flatten().numpy()
    assert np.abs(found[corners] - wanted[ours]).max() < CLOSE


def test_four_bones_are_nearly_all(plain):
    ids, shares = four_bones(plain.body.weights)
    torch.testing.assert_close(shares.sum(1), torch.ones(len(shares)))
    kept = torch.zeros_like(plain.body.weights).scatter_add(1, ids, shares)
    assert (kept - plain.body.weights).abs().sum(1).quantile(0.99) < 0.1


def test_texture_shows_skin_and_cloth_where_they_are(plain, written):
    glb, _ = written
    image = glb.json["images"][0]
    view = glb.json["bufferViews"][image["bufferView"]]
    data = glb.data[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    with Image.open(io.BytesIO(data)) as picture:
        assert PROVENANCE.encode() in picture.info["comment"]
        pixels = np.asarray(picture) / 255
    prim = glb.json["meshes"][0]["primitives"][0]
    uv = glb.array(prim["attributes"]["TEXCOORD_0"])
    at = np.clip((uv * pixels.shape[0]).astype(int), 0, pixels.shape[0] - 1)
    shown = pixels[at[:, 1], at[:, 0]]
    joints = glb.array(prim["attributes"]["JOINTS_0"])[:, 0]
    for joint, color in ((9, CLOTH), (15, SKIN)):
        wrong = np.abs(shown[joints == joint] - color.numpy()).max(1)
        assert np.median(wrong) < 0.02


def test_a_skirt_is_a_sheet_of_its_own(skirted, written):
    glb, surface = written
    vertices = surface.shells.vertices
    radius = vertices[:, [0, 2]].norm(dim=1)
    assert (radius - RADIUS).abs().max() < 0.003
    assert abs(float(vertices[:, 1].max()) - TOP) < 0.025
    assert abs(float(vertices[:, 1].min()) - BOTTOM) < 0.025
    assert (surface.shell_weights[:, 0] > 0.999).all()
    a, b, c = vertices[surface.shells.faces].unbind(1)
    outwards = torch.linalg.cross(b - a, c - a) * vertices[surface.shells.faces[:, 0]]
    assert (outwards[:, [0, 2]].sum(1) > 0).all()
    assert (surface.shell_colors - RED).abs().max() < 0.02
    prim = glb.json["meshes"][1]["primitives"][0]
    linear = glb.array(prim["attributes"]["COLOR_0"])[:, 0]
    assert abs(np.median(linear) - ((0.8 + 0.055) / 1.055) ** 2.4) < 0.01


def test_nobody_without_shells_has_sheets(plain, tmp_path):
    assert len(shells_of(plain).vertices) == 0
    write_mesh_glb(plain, [], tmp_path / "a.glb", Notice(), texels=64)
    assert [mesh["name"] for mesh in Glb(tmp_path / "a.glb").json["meshes"]] == ["body"]


def test_a_body_without_texture_coordinates_is_refused(plain):
    bare = replace(plain.body, uv=torch.zeros(0, 2), uv_faces=torch.zeros(0, 3, dtype=torch.int64))
    avatar = replace(plain)
    avatar.__dict__["body"] = bare
    with pytest.raises(InputError, match="no texture coordinates"):
        mesh_surface(avatar)


def test_it_is_stored_dressed_at_rest(plain, written):
    glb, surface = written
    rest = neutral_vertices(plain.body, plain.identity)
    assert (surface.body_vertices - rest).norm(dim=1).quantile(0.99) < 1e-3
    assert abs(glb.skinned(glb.node_of("body"), 0)[:, 1].min()) < 0.02
