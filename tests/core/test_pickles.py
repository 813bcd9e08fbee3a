"""Pickles of strangers: arrays come out, nothing runs, and limits hold."""

import io
import os
import pickle
import struct
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from persona.core import pickle_standins
from persona.core.errors import FileFormatError
from persona.core.pickles import PROGRAM, read_pickled_arrays
from tests.joblib_files import joblib_bytes

SMALL = 1 << 20


def read(path, data, **options):
    path.write_bytes(data)
    return read_pickled_arrays(path, **({"most": SMALL, "seconds": 5} | options))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.pkl"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL))
def test_arrays_come_out_as_they_went_in(path, protocol):
    given = {
        "a": np.arange(12, dtype=np.float64).reshape(3, 4),
        "big-endian": np.arange(5, dtype=">i4"),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "nothing": np.zeros((0, 3), np.float32),
        "deep": OrderedDict(b=np.array([True, False]), c=np.float32(1.5)),
        "number": 30.0,
        "word": "neutral",
        "objects": np.array([{}, None], dtype=object),
        "list": [1, 2, 3],
    }
    found = read(path, pickle.dumps(given, protocol=protocol))
    assert set(found) == {"a", "big-endian", "columns", "nothing", "deep/b", "deep/c"} | {
        "number",
        "word",
    }
    for name in ("a", "big-endian", "columns", "nothing"):
        np.testing.assert_array_equal(found[name], given[name])
    assert found["deep/c"] == np.float32(1.5)
    assert str(found["word"]) == "neutral"
    assert float(found["number"]) == 30.0


def as_python_2_wrote_it(name, array):
    """Give the dictionary {name: array} of doubles as Python 2's NumPy pickled it."""
    sizes = b"".join(b"I%d\n" % n for n in array.shape)
    data = array.astype("<f8").tobytes()
    return (
        b"(dS'" + name.encode() + b"'\n"
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(" + sizes + b"tcnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
        b"I00\nT" + struct.pack("<i", len(data)) + data + b"tbs."
    )


def test_what_python_2_wrote_is_read(path):
    array = np.random.default_rng(0).normal(size=(3, 500))
    found = read(path, as_python_2_wrote_it("shapedirs", array))
    np.testing.assert_array_equal(found["shapedirs"], array)


def test_a_large_file_of_python_2_fits_into_its_limits(path):
    array = np.random.default_rng(0).normal(size=(2_000, 5_000))
    found = read(path, as_python_2_wrote_it("posedirs", array), most=1 << 30, seconds=30)
    np.testing.assert_array_equal(found["posedirs"], array)


def test_sparse_matrices_are_written_out(path):
    dense = np.random.default_rng(0).normal(size=(6, 9)) * (np.arange(9) % 3 == 0)
    given = {"c": sp.csc_matrix(dense), "r": sp.csr_matrix(dense)}
    found = read(path, pickle.dumps(given, protocol=2))
    np.testing.assert_array_equal(found["c"], dense)
    np.testing.assert_array_equal(found["r"], dense)


def test_joblib_and_torch_files_are_read(path):
    poses = np.random.default_rng(0).normal(size=(7, 72))
    found = read(path, joblib_bytes({0: {"pose_world": poses, "frame_ids": np.arange(7)}}))
    np.testing.assert_array_equal(found["0/pose_world"], poses)
    tensors = {"t": torch.randn(6, 4)[::2, 1:], "p": torch.nn.Parameter(torch.ones(3)), "f": True}
    file = io.BytesIO()
    torch.save({"group": tensors}, file)
    found = read(path, file.getvalue())
    np.testing.assert_array_equal(found["group/t"], tensors["t"].numpy())
    np.testing.assert_array_equal(found["group/p"], np.ones(3, np.float32))


def test_only_what_is_wanted_comes_home(path):
    given = {0: {"a": np.zeros(3), "verts": np.zeros(50_000)}}
    assert set(read(path, pickle.dumps(given), wanted=["a"])) == {"0/a"}


class Calls:
    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


@pytest.mark.parametrize(
    "thing",
    [
        Calls(os.mkdir, "{marker}"),
        Calls(eval, "open('{marker}', 'w')"),
        Calls(subprocess.check_output, ["touch", "{marker}"]),
        Calls(getattr, 1, "real"),
        Calls(np.load, "{marker}"),
        pickle_standins.Refused,
        {1, 2},
    ],
    ids=("mkdir", "eval", "check_output", "getattr", "load", "Refused", "a set"),
)
def test_what_a_file_names_is_not_called(path, tmp_path, thing):
    marker = tmp_path / "marker"
    if isinstance(thing, Calls):
        thing.args = tuple(
            [a.format(marker=marker) for a in arg]
            if isinstance(arg, list)
            else arg.format(marker=marker)
            if isinstance(arg, str)
            else arg
            for arg in thing.args
        )
    data = pickle.dumps({"a": thing}, protocol=2)
    if isinstance(thing, set):
        data = pickle.dumps({"a": thing}, protocol=2).replace(b"set", b"exec")
    with pytest.raises(FileFormatError):
        read(path, data)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"cnumpy\nndarray\n(I99\ntR.", "a call"),
        (b"cnumpy\nload\n.", "numpy.load"),
        (b"cnumpy\ndtype\n}b.", "a state for something"),
        (b"\x80\x04\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", "an instruction"),
        (b"(i__main__\nmain\n.", "an instruction"),
        (b"", "0 MB"),
        (b"hello", "could not be read"),
        (b"\x80\x02]q\x00h\x00a" * 3, "could not be read"),
    ],
)
def test_hostile_bytes_are_refused_with_the_reason(path, data, word):
    with pytest.raises(FileFormatError, match=word):
        read(path, data)


def test_a_pickle_that_holds_itself_ends(path):
    loop = {}
    loop["loop"] = loop
    with pytest.raises(FileFormatError, match="too deep"):
        read(path, pickle.dumps(loop))


def test_doubling_costs_time_that_is_limited(path):
    # A tuple of tuples is two to the sixtieth entries to whoever hashes it.
    data = b"(t" + b"2\x86" * 60 + b"}" + b"\x85Ns."
    bomb = b"}" + b"(t" + b"2\x86" * 60 + b"Ns."
    for content in (data, bomb):
        with pytest.raises(FileFormatError):
            read(path, content, seconds=1)


def test_a_tensor_beyond_its_storage_is_refused():
    storage = np.zeros(10, np.float32)
    for offset, size, stride in (
        (0, (11,), (1,)),
        (5, (6,), (1,)),
        (0, (4, 4), (3, 1)),
        (0, (10**9,), (0,)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
    ):
        with pytest.raises(pickle_standins.Refused):
            pickle_standins.tensor(storage, offset, size, stride)


def test_the_child_loads_neither_what_is_heavy_nor_what_could_be_called():
    code = "import persona.core.pickle_child, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, check=True, text=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "scipy", "cv2", "subprocess", "chumpy", "joblib"}
    ran = [sys.executable, "-I", "-m", PROGRAM, "1000000000", "5", "1000"]
    answer = subprocess.run(ran, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert b"damaged" in answer.stdout


def test_mutated_pickles_break_nothing(path):
    file = io.BytesIO()
    torch.save({"a": torch.arange(20.0)}, file)
    wholes = [
        pickle.dumps({"a": np.arange(9.0), "s": sp.csc_matrix(np.eye(3))}, protocol=2),
        joblib_bytes({0: {"pose_world": np.zeros((2, 72))}}),
        file.getvalue(),
    ]
    rng = np.random.default_rng(0)
    for k in range(60):
        data = bytearray(wholes[k % 3])
        for place in rng.integers(0, len(data), rng.integers(1, 5)):
            data[place] = rng.integers(0, 256)
        try:
            found = read(path, bytes(data))
        except FileFormatError:
            continue
        assert sum(array.nbytes for array in found.values()) <= SMALL
