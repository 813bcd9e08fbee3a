"""Body files from strangers: the good are read, the bad refused with one typed error."""

import io
import zipfile
from importlib import resources

import numpy as np
import pytest

from persona.body import load_body
from persona.body.files import read_arrays
from persona.core.errors import FileFormatError


def shipped():
    return resources.files("persona.body") / "data" / "open_body.npz"


def licensed_like(tmp_path, **changes):
    """Write a small file with the names, types and object arrays of a licensed SMPL-X npz."""
    arrays = read_arrays(shipped())
    keep = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table")
    kept = {name: arrays[name] for name in keep}
    shapes = np.zeros((len(kept["v_template"]), 3, 400), np.float16)
    shapes[..., :10], shapes[..., 300:310] = (
        kept["shapedirs"][..., :10],
        kept["shapedirs"][..., 10:],
    )
    kept |= {"shapedirs": shapes, "joint2num": np.array({"pelvis": 0}, dtype=object)} | changes
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    np.savez(path, **kept)
    return path


def test_shipped_file_is_small_and_holds_no_objects():
    path = shipped()
    assert path.stat().st_size < 3.5e6
    with np.load(path, allow_pickle=False) as archive:
        assert all(archive[name].dtype.kind in "fiuU" for name in archive.files)


def test_arrays_equal_those_numpy_reads():
    ours = read_arrays(shipped())
    with np.load(shipped(), allow_pickle=False) as archive:
        assert set(ours) == set(archive.files)
        for name in archive.files:
            np.testing.assert_array_equal(ours[name], archive[name])


def test_user_file_with_object_arrays_is_read_without_them(tmp_path):
    body = load_body(licensed_like(tmp_path))
    assert body.vertex_count == load_body().vertex_count
    assert body.shapedirs.shape[2] == body.exprdirs.shape[2] == 10
    assert (body.exprdirs - load_body().exprdirs).abs().max() == 0
    known = load_body()
    miss = body.landmarks.mediapipe_face.on(body.v_template)
    miss = miss - known.landmarks.mediapipe_face.on(known.v_template)
    assert float(miss.norm(dim=1).max()) < 0.002
    outside = ~known.regions.mask("mouth_inner", "tongue", "teeth")
    same = body.regions.part_ids == known.regions.part_ids
    assert float(same[outside].float().mean()) > 0.99
    assert body.to("cpu").face_units.names == known.face_units.names


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"weights": np.zeros((5, 55))}, "weights"),
        ({"posedirs": np.zeros((13854, 3, 207), np.float16)}, "posedirs"),
        ({"f": np.array([[0, 1, 99_999]], np.uint32)}, "faces"),
        ({"kintree_table": np.zeros((2, 55), np.int64)}, "joint tree"),
    ],
)
def test_contradicting_arrays_are_refused(tmp_path, changes, what):
    with pytest.raises(FileFormatError, match=what):
        load_body(licensed_like(tmp_path, **changes))


def test_motion_file_is_refused_by_what_it_lacks(tmp_path):
    path = tmp_path / "motion.npz"
    np.savez(path, poses=np.zeros((10, 165)), trans=np.zeros((10, 3)))
    with pytest.raises(FileFormatError, match="lacks v_template"):
        load_body(path)


def member(name, data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def npy(header, payload=b""):
    text = header.encode("latin1")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + payload


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip at all",
        member("a.npy", b"short"),
        member("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999,)}")),
        member("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}")),
        member("a.npy", npy("{'descr': '<f4', 'shape': (1,)}", b"1234")),
        member("a.npy", npy("__import__('os').getcwd()")),
        member("a.npy", npy("{'descr': 'zz', 'fortran_order': False, 'shape': ()}")),
        member(
            "a.npy",
            npy("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,)}", b"1234"),
        ),
    ],
)
def test_hostile_files_get_the_typed_error(tmp_path, content):
    path = tmp_path / "body.npz"
    path.write_bytes(content)
    with pytest.raises(FileFormatError):
        load_body(path)


def test_bomb_is_refused_before_it_unpacks(tmp_path, monkeypatch):
    monkeypatch.setattr("persona.body.files.MAX_MEMBER_BYTES", 1000)
    path = tmp_path / "body.npz"
    path.write_bytes(member("a.npy", bytes(2_000_000)))
    assert path.stat().st_size < 10_000
    with pytest.raises(FileFormatError, match="would unpack"):
        read_arrays(path)


def test_truncated_file_is_refused(tmp_path):
    path = tmp_path / "body.npz"
    path.write_bytes(shipped().read_bytes()[:100_000])
    with pytest.raises(FileFormatError):
        load_body(path)


def test_flipped_bytes_are_refused_or_harmless(tmp_path):
    data = bytearray(shipped().read_bytes())
    path = tmp_path / "body.npz"
    for place in range(200_000, len(data), 400_000):
        damaged = data.copy()
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError):
            read_arrays(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_body(tmp_path / "nowhere.npz")
