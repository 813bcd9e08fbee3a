"""Files as joblib writes them: a pickle in which each array's bytes follow a note about it.

The same bytes as joblib 1.6 gives (compared once); so that tests need no joblib.
"""

import io
import pickle
import sys
import types

import numpy as np

ALIGNMENT = 16


class _Note:
    pass


_Note.__module__, _Note.__qualname__ = "joblib.numpy_pickle", "NumpyArrayWrapper"
_Note.__name__ = "NumpyArrayWrapper"


class _Pickler(pickle._Pickler):
    def __init__(self, file):
        super().__init__(file, protocol=4)
        self.raw = file

    def save(self, obj, save_persistent_id=True):
        if not isinstance(obj, np.ndarray):
            super().save(obj, save_persistent_id)
            return
        note = _Note()
        note.subclass, note.shape, note.order, note.dtype = np.ndarray, obj.shape, "C", obj.dtype
        note.allow_mmap, note.numpy_array_alignment_bytes = True, ALIGNMENT
        super().save(note)
        self.framer.commit_frame(force=True)
        padding = ALIGNMENT - (self.raw.tell() + 1) % ALIGNMENT
        self.raw.write(bytes([padding]) + b"\xff" * padding)
        self.raw.write(np.ascontiguousarray(obj).tobytes())


def joblib_bytes(value):
    """Give what `joblib.dump` would write."""
    module = types.ModuleType("joblib.numpy_pickle")
    module.NumpyArrayWrapper = _Note
    sys.modules |= {"joblib": types.ModuleType("joblib"), "joblib.numpy_pickle": module}
    try:
        file = io.BytesIO()
        _Pickler(file).dump(value)
        return file.getvalue()
    finally:
        del sys.modules["joblib"], sys.modules["joblib.numpy_pickle"]
