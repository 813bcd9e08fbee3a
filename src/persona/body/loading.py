"""Turn an SMPL-X file, shipped or the user's own, into an `SmplxBody`."""

import hashlib
from functools import lru_cache
from importlib import resources
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.correctives import blocks_from_dense
from persona.body.face_units import face_units_from
from persona.body.files import Arrays, read_arrays
from persona.body.landmarks import landmarks_from
from persona.body.regions import regions_from
from persona.body.skeleton import MAIN_CHILD, PARENTS
from persona.body.smplx import SmplxBody
from persona.core.errors import FileFormatError
from persona.records.body_params import EXPRESSION_COUNT, SHAPE_COUNT

WIDE_SHAPE_COLUMNS = 400
"""Licensed files keep 300 betas, then 100 expressions; smaller ones 10, then 10."""


def load_body(path: Path | str | None = None) -> SmplxBody:
    """Load a body; None gives the open body that ships with persona (read once, then shared).

    Args:
        path: An SMPL-X npz of your own. Its betas and expressions mean something else than the
            open body's, and what the file does not hold (landmarks, regions, face units) is empty.

    Raises:
        FileFormatError: Not an SMPL-X npz, damaged, or not safe to open.
    """
    return _shipped_body() if path is None else _read_body(Path(path))


@lru_cache(maxsize=1)
def _shipped_body() -> SmplxBody:
    with resources.as_file(resources.files("persona.body") / "data" / "open_body.npz") as path:
        return _read_body(path)


def _read_body(path: Path) -> SmplxBody:
    arrays = read_arrays(path)
    _check_body(path, arrays)
    template, weights = _floats(arrays, "v_template"), _floats(arrays, "weights")
    regressor = _floats(arrays, "J_regressor")
    shapes, expressions = _shape_columns(_floats(arrays, "shapedirs"))
    joints = regressor @ template
    both = torch.cat([shapes, expressions], -1)
    faces = _ints(arrays, "f")
    has_uv = "vt" in arrays and "ft" in arrays
    return SmplxBody(
        v_template=template,
        shapedirs=shapes,
        exprdirs=expressions,
        correctives=blocks_from_dense(_floats(arrays, "posedirs")),
        J_regressor=regressor,
        joints_template=joints,
        joint_dirs=(regressor @ both.flatten(1)).unflatten(1, (3, -1)),
        weights=weights,
        stretch=_stretch(template, joints, weights),
        parents=torch.tensor(PARENTS),
        faces=faces,
        uv=_floats(arrays, "vt") if has_uv else torch.zeros(0, 2),
        uv_faces=_ints(arrays, "ft") if has_uv else torch.zeros(0, 3, dtype=torch.int64),
        regions=regions_from(arrays, weights),
        landmarks=landmarks_from(arrays),
        face_units=face_units_from(arrays, len(template)),
        mirror_vertices=_ints(arrays, "mirror_vertices")
        if "mirror_vertices" in arrays
        else torch.zeros(0, dtype=torch.int64),
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _stretch(template: Tensor, joints: Tensor, weights: Tensor) -> Float[Tensor, "v 55"]:
    """Let a vertex slide between the ends of its bones, by how far along each bone it sits."""
    shares = torch.zeros_like(weights)
    for joint in range(weights.shape[1]):
        child = MAIN_CHILD.get(joint)
        if child is None:
            shares[:, joint] += weights[:, joint]
            continue
        bone = joints[child] - joints[joint]
        along = ((template - joints[joint]) @ bone / (bone @ bone)).clamp(0, 1)
        shares[:, joint] += weights[:, joint] * (1 - along)
        shares[:, child] += weights[:, joint] * along
    return shares


def _shape_columns(shapedirs: Tensor) -> tuple[Tensor, Tensor]:
    """Cut shapedirs into betas and expressions as `smplx` does."""
    begin = 300 if shapedirs.shape[2] >= WIDE_SHAPE_COLUMNS else SHAPE_COUNT
    shapes = shapedirs[..., :SHAPE_COUNT].contiguous()
    return shapes, shapedirs[..., begin : begin + EXPRESSION_COUNT].contiguous()


def _check_body(path: Path, arrays: Arrays) -> None:
    """Refuse files in which arrays are missing or contradict each other."""
    needed = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table")
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise FileFormatError(
            f"{path} lacks {', '.join(missing)}",
            why="an SMPL-X model file holds " + ", ".join(needed),
            fix="give the SMPL-X model itself (SMPLX_NEUTRAL.npz), not a motion or another body",
        )
    count = arrays["v_template"].shape[0]
    shapes: dict[str, tuple[int | None, ...]] = {
        "v_template": (count, 3),
        "shapedirs": (count, 3, None),
        "posedirs": (count, 3, 9 * (len(PARENTS) - 1)),
        "J_regressor": (len(PARENTS), count),
        "weights": (count, len(PARENTS)),
        "f": (None, 3),
        "kintree_table": (2, len(PARENTS)),
    }
    for name, shape in shapes.items():
        got = arrays[name].shape
        fits = len(got) == len(shape) and all(
            want in (None, size) for size, want in zip(got, shape, strict=True)
        )
        if not fits:
            raise FileFormatError(
                f"{name} in {path} has shape {got}",
                why=f"with {count} vertices and {len(PARENTS)} joints it must be {shape}",
                fix="use an SMPL-X file; SMPL and SMPL-H have other joints",
            )
    faces, tree = arrays["f"].astype("int64"), arrays["kintree_table"].astype("int64")
    if faces.size and not 0 <= faces.min() <= faces.max() < count:
        raise FileFormatError(
            f"faces in {path} name vertices {faces.min()} to {faces.max()}",
            why=f"the body has {count} vertices",
            fix="fetch the file again; it is damaged",
        )
    if tuple(tree[0, 1:]) != PARENTS[1:]:
        raise FileFormatError(
            f"{path} has another joint tree",
            why="poses mean something only on the tree of SMPL-X",
            fix="use an SMPL-X file; SMPL and SMPL-H have other joints",
        )


def _floats(arrays: Arrays, name: str) -> Tensor:
    return torch.from_numpy(arrays[name].astype("float32"))


def _ints(arrays: Arrays, name: str) -> Tensor:
    return torch.from_numpy(arrays[name].astype("int64"))
