"""Splat files of every format: known splats come back, strangers' and damaged ones are refused."""

import base64
import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from persona.cli.main import main
from persona.core.errors import FileFormatError
from persona.export.covariances import join_covariances
from persona.export.gltf.splats import write_splat_glb
from persona.export.ply import SH_DC, write_ply
from persona.export.reading import cloud as limits
from persona.export.reading.opening import read_splats
from persona.records.notice import Notice
from tests.plain_avatar import make_plain_avatar

MEANS = np.array([[0.25, -0.5, 1.0], [0.0, 2.0, -0.75]])
SCALES = np.exp(np.array([[-3.0, -4.0, -5.0], [-2.0, -6.0, -2.5]]))
QUATS = np.array([[1.0, 0.0, 0.0, 0.0], [0.5, -0.5, 0.5, 0.5]])
ALPHAS = np.array([51, 204]) / 255
COLORS = np.array([[0.2, 0.4, 0.6], [0.6, 0.55, 0.45]])


def check(found, *, color: float = 1e-5, size: float = 1e-4) -> None:
    """The two splats above, as closely as the format says them."""
    cloud = found.gaussians
    np.testing.assert_allclose(cloud.means, MEANS, atol=1e-3)
    np.testing.assert_allclose(cloud.opacities, ALPHAS, atol=1e-3)
    np.testing.assert_allclose(cloud.colors, COLORS, atol=color)
    wanted = join_covariances(torch.from_numpy(SCALES), torch.from_numpy(QUATS))
    assert (cloud.covariances - wanted).abs().max() < size * wanted.abs().max()


def ply(order: str) -> bytes:
    # Other attributes in another order, of doubles and bytes, as strangers write them.
    names = ["opacity", *(f"rot_{k}" for k in range(4)), *(f"scale_{k}" for k in range(3))]
    names += ["x", "y", "z", *(f"f_dc_{k}" for k in range(3))]
    logits = np.log(ALPHAS / (1 - ALPHAS))[:, None]
    table = np.concatenate([logits, 3 * QUATS, np.log(SCALES), MEANS, (COLORS - 0.5) / SH_DC], 1)
    lines = ["ply", f"format {order} 1.0", "element vertex 2"]
    lines += [f"property {'double' if k % 2 else 'float'} {name}" for k, name in enumerate(names)]
    lines += ["property uchar flag", "end_header", ""]
    head = "\r\n".join(lines).encode() if order == "ascii" else "\n".join(lines).encode()
    if order == "ascii":
        return (
            head + "\r\n".join(" ".join(map(repr, row.tolist())) + " 7" for row in table).encode()
        )
    sign = "<" if "little" in order else ">"
    kinds = [(n, sign + ("f8" if k % 2 else "f4")) for k, n in enumerate(names)]
    rows = np.zeros(2, [*kinds, ("flag", "u1")])
    for k, name in enumerate(names):
        rows[name] = table[:, k]
    return head + rows.tobytes()


def splat() -> bytes:
    rows = b""
    for k in range(2):
        rgba = np.round(255 * np.append(COLORS[k], ALPHAS[k])).astype(np.uint8)
        turn = np.clip(np.round(128 + 128 * QUATS[k]), 0, 255).astype(np.uint8)
        rows += struct.pack("<6f", *MEANS[k], *SCALES[k]) + rgba.tobytes() + turn.tobytes()
    return rows


def ksplat() -> bytes:
    head = bytearray(4096 + 1024)
    struct.pack_into("<BBxxIIII", head, 0, 0, 1, 1, 1, 2, 2)
    struct.pack_into("<IIII", head, 4096, 2, 2, 256, 1)
    rows = b""
    for k in range(2):
        rgba = np.round(255 * np.append(COLORS[k], ALPHAS[k])).astype(np.uint8)
        rows += struct.pack("<10f", *MEANS[k], *SCALES[k], *QUATS[k]) + rgba.tobytes()
    return bytes(head) + bytes(12) + rows


def spz(version: int) -> bytes:
    fixed = np.round(MEANS * 4096).astype("<i4")
    if version == 1:
        places = MEANS.astype("<f2").tobytes()
    else:
        places = b"".join(int(n).to_bytes(3, "little", signed=True) for n in fixed.ravel())
    colors = np.round(255 * ((COLORS - 0.5) / SH_DC * 0.15 + 0.5)).astype(np.uint8)
    sizes = np.round(16 * (np.log(SCALES) + 10)).astype(np.uint8)
    if version < 3:
        turns = np.round(127.5 * (QUATS[:, 1:] + 1)).astype(np.uint8).tobytes()
    else:
        # Largest is w (3) with nothing else, and z (2) with -0.5 0.5 . 0.5 of x y w.
        half = round(0.5 / np.sqrt(0.5) * 511)
        field = ((512 + half) << 20) | (half << 10) | half
        turns = struct.pack("<II", 3 << 30, (2 << 30) | field)
    head = struct.pack("<4sIIBBBB", b"NGSP", version, 2, 0, 12, 0, 0)
    alphas = np.round(255 * ALPHAS).astype(np.uint8).tobytes()
    return gzip.compress(
        head + places + alphas + colors.tobytes() + sizes.tobytes() + turns, mtime=0
    )


def gltf(**changes: object) -> bytes:
    """The two splats below a node that is turned, so that they lie where the others do."""
    # Stored turned a quarter about x: (x, y, z) was (x, z, -y).
    stored = MEANS[:, [0, 2, 1]] * [1, 1, -1]
    stored[:, [1, 2]] = np.stack([MEANS[:, 2], -MEANS[:, 1]], 1)
    s = np.sqrt(0.5)
    back = np.array([s, -s, 0, 0])  # the inverse of the node's turn, wxyz
    quats = np.stack([product(back, quat) for quat in QUATS])[:, [1, 2, 3, 0]]
    columns = [stored, SCALES, quats, ALPHAS[:, None], (COLORS - 0.5) / SH_DC]
    names = ["POSITION", "SCALE", "ROTATION", "OPACITY", "SH_DEGREE_0_COEF_0"]
    document: dict = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"children": [1]}, {"mesh": 0, "rotation": [s, 0, 0, s]}],
        "accessors": [],
        "bufferViews": [],
    }
    data, attributes = b"", {}
    for name, column in zip(names, columns, strict=True):
        raw = column.astype("<f4").tobytes()
        view = {"buffer": 0, "byteOffset": len(data), "byteLength": len(raw)}
        kind = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[column.shape[1]]
        accessor = {"bufferView": len(attributes), "componentType": 5126, "count": 2, "type": kind}
        attributes[name if name == "POSITION" else f"KHR_gaussian_splatting:{name}"] = len(
            document["accessors"]
        )
        document["bufferViews"].append(view)
        document["accessors"].append(accessor)
        data += raw
    said = {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}
    primitive = {"mode": 0, "attributes": attributes}
    primitive["extensions"] = {"KHR_gaussian_splatting": said}
    document["meshes"] = [{"primitives": [primitive]}]
    uri = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    document["buffers"] = [{"byteLength": len(data), "uri": uri}]
    return json.dumps({**document, **changes}).encode()


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    vector = a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])
    return np.array([a[0] * b[0] - a[1:] @ b[1:], *vector])


FILES = {
    "little.ply": lambda: ply("binary_little_endian"),
    "big.ply": lambda: ply("binary_big_endian"),
    "text.ply": lambda: ply("ascii"),
    "a.splat": splat,
    "a.ksplat": ksplat,
    "one.spz": lambda: spz(1),
    "two.spz": lambda: spz(2),
    "three.spz": lambda: spz(3),
    "a.gltf": gltf,
}
ROUGH = {"a.splat": 0.05, "one.spz": 0.08, "two.spz": 0.08, "three.spz": 0.08}
"""Bytes say sizes and rotations by so much; 1/16 of a logarithm is 3 %, squared 6 %."""


@pytest.mark.parametrize("name", FILES)
def test_two_known_splats_come_back(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FILES[name]())
    rough = name in ROUGH
    color = 0.01 if rough or name == "a.ksplat" else 1e-5
    check(read_splats(path), color=color, size=ROUGH.get(name, 1e-4))


@pytest.mark.parametrize("kind", ["ply", "glb"])
def test_our_own_files_come_back(tmp_path, kind):
    avatar = make_plain_avatar(300)
    path = tmp_path / f"a.{kind}"
    cloud = avatar.pose(avatar.photo_params)
    if kind == "ply":
        write_ply(cloud, path)
    else:
        write_splat_glb(avatar, [], path, Notice())
    back = read_splats(path).gaussians
    if kind == "ply":
        torch.testing.assert_close(back.means, cloud.means)
    torch.testing.assert_close(back.colors, cloud.colors, atol=1e-5, rtol=0)
    assert back.count == 300


REAL = {
    "brush_init.ply": "no f_dc_0",
    "cesium_spz_basic.glb": "compression_spz_2",
    "inria_pc_short.ply": 100,
    "jsplat_unitCube-ascii.ply": 20,
    "khr_conformance_matrix.glb": 15,
    "khr_conformance_matrix.gltf": 15,
    "khr_extensible_fallback.gltf": "customShape",
    "ms_3points_train.ply": 3,
    "ms_3points_train.splat": 3,
    "ms_3points_train.spz": 3,
    "not_a_splat_beetle.ply": "points or a mesh",
    "pc_biker.compressed.ply": 152_746,
    "pc_biker.spz": "Zstandard",
    "pc_guitar.compressed.ply": 90_854,
    "pc_test.ply": 64,
    "st_minimal-v2.spz": 4,
    "st_minimal-v3.spz": 4,
    "st_minimal-v4.spz": "Zstandard",
    "st_minimal.ksplat": 4,
    "st_minimal.splat": 4,
}
"""Files of other programs: how many splats, or why not."""


@pytest.mark.parametrize("name", REAL)
def test_files_of_other_programs(real_data, name):
    wanted = REAL[name]
    if isinstance(wanted, str):
        with pytest.raises(FileFormatError) as caught:
            read_splats(real_data / "splats" / name)
        assert wanted in caught.value.why
    else:
        assert read_splats(real_data / "splats" / name).gaussians.count == wanted


def test_three_splats_are_the_same_in_three_formats(real_data):
    clouds = {
        kind: read_splats(real_data / "splats" / f"ms_3points_train.{kind}").gaussians
        for kind in ("ply", "splat", "spz")
    }
    # SPZ says that y is up and z backward; the others have both the other way.
    turned = clouds["spz"].means * torch.tensor([1.0, -1.0, -1.0])
    torch.testing.assert_close(turned, clouds["ply"].means, atol=2e-4, rtol=0)
    torch.testing.assert_close(clouds["splat"].means, clouds["ply"].means)
    traces = [c.covariances[:, [0, 3, 5]].sum(1) for c in clouds.values()]
    torch.testing.assert_close(traces[1], traces[0], rtol=0.02, atol=0)
    torch.testing.assert_close(traces[2], traces[0], rtol=0.15, atol=0)
    torch.testing.assert_close(clouds["spz"].colors, clouds["ply"].colors, atol=0.01, rtol=0)


def test_damaged_files_are_refused_by_one_kind_of_error(tmp_path):
    generator = np.random.default_rng(0)
    refused = read = 0
    for name, make in FILES.items():
        data = make()
        raw = gzip.decompress(data) if name.endswith(".spz") else data
        for _ in range(150):
            harmed = bytearray(raw)
            for _ in range(generator.integers(1, 6)):
                harmed[generator.integers(len(harmed))] = generator.integers(256)
            cut = generator.integers(len(harmed)) if generator.random() < 0.3 else len(harmed)
            harmed = bytes(harmed[:cut])
            if name.endswith(".spz") and generator.random() < 0.7:
                harmed = gzip.compress(harmed, 1, mtime=0)
            (tmp_path / name).write_bytes(harmed)
            try:
                cloud = read_splats(tmp_path / name).gaussians
            except FileFormatError:
                refused += 1
                continue
            read += 1
            for values in vars(cloud).values():
                assert bool(torch.isfinite(values).all()), name
    assert refused > 300
    assert read > 100


def head(count: object) -> bytes:
    return ply("binary_little_endian").replace(b"vertex 2", f"vertex {count}".encode())


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.ply", head(10**11), "does not hold the 100000000000 rows"),
        ("a.ply", head("9" * 40), "without a count"),
        ("a.ply", head(0), "0 splats"),
        ("a.ply", b"ply\nformat ascii 1.0\n" + b"comment x\n" * 10_000, "no end"),
        (
            "a.spz",
            gzip.compress(struct.pack("<4sIIBBBB", b"NGSP", 2, 2**31, 0, 12, 0, 0), mtime=0),
            "splats",
        ),
        ("a.spz", spz(2)[:40], "does not hold"),
        ("a.ksplat", b"\0\1\0\0" + b"\xff" * 5000, "compressed"),
        ("a.gltf", b"[" * 100_000, "damaged"),
        ("a.gltf", gltf(nodes=[{"children": [0], "mesh": 0}]), "hangs on"),
        ("a.gltf", gltf(nodes=[{"mesh": 0, "scale": [1e300, 1, 1]}]), "beyond 1e6"),
        ("a.gltf", gltf(buffers=[{"byteLength": 9, "uri": "/etc/hostname"}]), "outside the file"),
        ("a.sog", b"PK\3\4", "pictures"),
        ("a.txt", b"hello", "neither its first bytes"),
    ],
)
def test_what_promises_too_much_or_nothing_is_refused(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FileFormatError) as caught:
        read_splats(tmp_path / name)
    assert said in caught.value.why


def test_a_packed_file_unpacks_no_further_than_it_says(tmp_path):
    body = gzip.decompress(spz(2)) + bytes(50_000_000)
    (tmp_path / "a.spz").write_bytes(gzip.compress(body, mtime=0))
    assert read_splats(tmp_path / "a.spz").gaussians.count == 2


def test_large_files_are_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("persona.export.reading.opening.MOST_BYTES", 10)
    (tmp_path / "a.splat").write_bytes(splat())
    with pytest.raises(FileFormatError, match="no splats"):
        read_splats(tmp_path / "a.splat")
    assert limits.MOST_BYTES > 10


def test_a_file_is_drawn_from_around(tmp_path, capsys):
    write_ply(make_plain_avatar(300).pose(make_plain_avatar(300).photo_params), tmp_path / "a.ply")
    out = tmp_path / "a.png"
    words = [str(tmp_path / "a.ply"), "--out", str(out)]
    assert main(["render", *words, "--camera", "side", "--size", "80"]) == 0
    assert "3DGS PLY" in capsys.readouterr().out
    assert Path(out).stat().st_size > 200
    assert main(["render", *words]) == 2
    assert "drawn as it stands" in capsys.readouterr().err
