import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.core.conventions import PROVENANCE
from persona.core.errors import FileFormatError, InputError
from persona.export.covariances import split_covariances
from persona.export.ply import write_ply
from persona.export.reading.opening import read_splats
from persona.geometry.rotations import quaternion_to_matrix
from persona.records.gaussians import Gaussians


def cloud(seed: int, count: int = 50) -> Gaussians:
    g = torch.Generator().manual_seed(seed)
    axes = quaternion_to_matrix(torch.randn(count, 4, generator=g))
    factors = axes * (0.002 + 0.03 * torch.rand(count, 1, 3, generator=g))
    full = factors @ factors.transpose(1, 2)
    return Gaussians(
        means=torch.randn(count, 3, generator=g),
        covariances=full[:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]],
        opacities=0.05 + 0.9 * torch.rand(count, generator=g),
        colors=torch.rand(count, 3, generator=g),
        normals=axes[..., 2],
    )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_a_cloud_comes_back(tmp_path_factory, seed):
    source, path = cloud(seed), tmp_path_factory.mktemp("ply") / "c.ply"
    write_ply(source, path)
    back = read_splats(path).gaussians
    for name, value in vars(source).items():
        torch.testing.assert_close(vars(back)[name], value, atol=2e-6, rtol=1e-3, msg=name)


def test_attributes_are_the_reference_ones(tmp_path):
    path = tmp_path / "c.ply"
    write_ply(cloud(0), path)
    header, _, body = path.read_bytes().partition(b"end_header\n")
    lines = header.decode().splitlines()
    assert lines[:4] == [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {PROVENANCE}",
        "element vertex 50",
    ]
    names = [line.removeprefix("property float ") for line in lines[4:]]
    assert names[:9] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    assert names[9:54] == [f"f_rest_{k}" for k in range(45)]
    assert names[54:58] == ["opacity", "scale_0", "scale_1", "scale_2"]
    assert names[58:] == ["rot_0", "rot_1", "rot_2", "rot_3"]
    assert len(body) == 50 * 62 * 4
    first = np.frombuffer(body, "<f4")[:62]
    source = cloud(0)
    np.testing.assert_allclose(first[:3], source.means[0])
    np.testing.assert_allclose(
        first[6:9], (source.colors[0] - 0.5) / 0.28209479177387814, rtol=1e-5
    )
    assert first[54] == pytest.approx(float(torch.logit(source.opacities[0])), rel=1e-4)


def test_solid_and_empty_opacities_stay_finite(tmp_path):
    source = cloud(1, 2)
    edge = Gaussians(**{**vars(source), "opacities": torch.tensor([0.0, 1.0])})
    write_ply(edge, tmp_path / "c.ply")
    back = read_splats(tmp_path / "c.ply").gaussians.opacities
    torch.testing.assert_close(back, torch.tensor([0.0, 1.0]), atol=2e-4, rtol=0)


def test_flat_gaussians_split_into_a_proper_rotation():
    flat = torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0, 4.0]])
    scales, quats = split_covariances(flat)
    assert sorted(scales[0].tolist()) == pytest.approx([0.0, 1.0, 2.0], abs=1e-6)
    assert float(torch.linalg.det(quaternion_to_matrix(quats))[0]) == pytest.approx(1.0, abs=1e-5)


def test_an_empty_cloud_is_refused(tmp_path):
    source = cloud(0)
    empty = Gaussians(**{name: value[:0] for name, value in vars(source).items()})
    with pytest.raises(InputError, match="no Gaussians"):
        write_ply(empty, tmp_path / "c.ply")


@pytest.mark.parametrize("harm", ["short", "text", "names", "count", "empty"])
def test_damaged_files_are_refused(tmp_path, harm):
    path = tmp_path / "c.ply"
    write_ply(cloud(0), path)
    data = path.read_bytes()
    harmed = {
        "short": data[:-7],
        "text": b"hello",
        "names": data.replace(b"property float opacity", b"property float opacitx"),
        "count": data.replace(b"vertex 50", b"vertex -5"),
        "empty": b"",
    }[harm]
    path.write_bytes(harmed)
    with pytest.raises(FileFormatError, match="no splats that can be read"):
        read_splats(path)
