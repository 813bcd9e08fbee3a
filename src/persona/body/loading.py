"""Turn an SMPL-X file, shipped or the user's own, into an `SmplxBody`."""

import hashlib
from dataclasses import replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.correctives import blocks_from_dense
from persona.body.correspondence import annotate
from persona.body.face_units import face_units_from
from persona.body.files import Arrays, read_arrays
from persona.body.hand_pca import hand_pca_from
from persona.body.landmarks import landmarks_from
from persona.body.regions import regions_by_joints, regions_from
from persona.body.skeleton import MAIN_CHILD, PARENTS
from persona.body.smplx import SmplxBody
from persona.core.errors import FileFormatError, InputError
from persona.core.pickles import read_pickled_arrays
from persona.core.settings import BODY_VARIABLE, own_body_file
from persona.records.body_params import EXPRESSION_COUNT, SHAPE_COUNT

WIDE_SHAPE_COLUMNS: Final = 400
"""Licensed files keep 300 betas, then 100 expressions; smaller ones 10, then 10."""
OPEN_BODY: Final = "open_body"
"""Name of the body that ships with persona."""
SMPLX_LICENSE: Final = "SMPL-X Model License of the Max Planck Society, the user's own"
OPEN_LICENSE: Final = "Apache-2.0, its MakeHuman data CC0"
NEEDED: Final = (
    *("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table"),
)
OFFERED: Final = (
    *("vt", "ft", "lmk_faces_idx", "lmk_bary_coords"),
    *("hands_meanl", "hands_meanr", "hands_componentsl", "hands_componentsr"),
)
"""What else is taken from an SMPL-X file when it is there; nothing more is unpacked."""
MOST_MODEL_BYTES: Final = 2**30
"""Largest model file; SMPLX_NEUTRAL.pkl has about half of it."""
PICKLE_SECONDS: Final = 60
"""Processor time for unpickling one."""
MOST_VERTICES: Final = 200_000
WEIGHT_SLACK: Final = 1e-3
"""How far shares may be from one in sum; files keep them in half precision."""

_loaded: dict[str, SmplxBody] = {}
# Avatars find the body that they stand on here, by its file's digest, wherever it was loaded: they
# cannot hold it, and reading half a gigabyte again for each would be waste.


def load_body(
    path: Path | str | None = None,
    *,
    betas: int = SHAPE_COUNT,
    expressions: int = EXPRESSION_COUNT,
) -> SmplxBody:
    """Load a body; None gives the open body that ships with persona (read once, then shared).

    Args:
        path: An SMPL-X file of your own: ``SMPLX_{NEUTRAL,MALE,FEMALE}.npz`` or ``.pkl``. Its betas
            and expressions mean something else than the open body's; parts, landmarks and facial
            shapes are found by laying the open body over it.
        betas: How many shape coefficients to keep; files have 10 or 300.
        expressions: How many expression coefficients to keep; files have 10 or 100.

    Raises:
        FileFormatError: No SMPL-X file, damaged, or not safe to open.
        InputError: The file has fewer coefficients than are asked for.
    """
    if path is None:
        return _shipped_body()
    body = _own_body(Path(path), betas, expressions)
    _loaded[body.digest] = body
    return body


def body_of(name: str, digest: str, *, path: Path | None = None) -> SmplxBody:
    """Give the body that something was made on: the shipped one, or one that the user has.

    Args:
        name: What it was called, such as ``SMPLX_NEUTRAL``.
        digest: SHA-256 of its file.
        path: Where it may be; None looks where ``PERSONA_BODY`` says, after those in use.

    Raises:
        InputError: It is not there; the text says which is needed.
    """
    if name == OPEN_BODY:
        return _shipped_body()
    if digest in _loaded:
        return _loaded[digest]
    offered = own_body_file(path)
    if offered is not None and file_digest(offered) == digest:
        return load_body(offered)
    here = "no body file was given" if offered is None else f"{offered} is another file"
    raise InputError(
        f"this was made on {name}, SHA-256 {digest[:16]}..., and {here}",
        why="a licensed body is its user's own and is not stored in what is made on it",
        fix=f"give that file with --body PATH, or set {BODY_VARIABLE} to its path",
    )


def body_license(body: SmplxBody) -> str:
    """Say under which terms a body is used."""
    return OPEN_LICENSE if body.name == OPEN_BODY else SMPLX_LICENSE


def file_digest(path: Path) -> str:
    """Give the SHA-256 of a file, hexadecimal.

    Raises:
        FileFormatError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileFormatError(
            f"the body {path} cannot be read: {error.strerror}",
            why="a body is read from an SMPL-X npz or pkl",
            fix="check the path, or leave it out to use the shipped open body",
        ) from error


@lru_cache(maxsize=1)
def _shipped_body() -> SmplxBody:
    with resources.as_file(resources.files("persona.body") / "data" / "open_body.npz") as path:
        arrays = read_arrays(path)
        _check_body(path, arrays)
        body = _body_from(arrays, SHAPE_COUNT, EXPRESSION_COUNT, OPEN_BODY, file_digest(path))
    return replace(
        body,
        regions=regions_from(arrays),
        landmarks=landmarks_from(arrays),
        face_units=face_units_from(arrays, body.vertex_count),
        mirror_vertices=_ints(arrays, "mirror_vertices"),
    )


def _own_body(path: Path, betas: int, expressions: int) -> SmplxBody:
    digest = file_digest(path)
    wanted = (*NEEDED, *OFFERED)
    if path.suffix.lower() == ".pkl":
        arrays = read_pickled_arrays(
            path, most=MOST_MODEL_BYTES, seconds=PICKLE_SECONDS, wanted=wanted
        )
    else:
        arrays = read_arrays(path, names=wanted)
    _check_body(path, arrays)
    body = _body_from(arrays, betas, expressions, path.stem, digest)
    found = annotate(body, _shipped_body())
    return replace(
        body,
        regions=found.regions,
        landmarks=found.landmarks,
        face_units=found.face_units,
    )


def _body_from(arrays: Arrays, betas: int, expressions: int, name: str, digest: str) -> SmplxBody:
    """Make a body of a file's arrays, without knowing yet what is where on its skin."""
    template, weights = _floats(arrays, "v_template"), _floats(arrays, "weights")
    regressor = _floats(arrays, "J_regressor")
    shapes, smiles = _shape_columns(_floats(arrays, "shapedirs"), betas, expressions)
    joints = regressor @ template
    both = torch.cat([shapes, smiles], -1)
    has_uv = "vt" in arrays and "ft" in arrays
    return SmplxBody(
        v_template=template,
        shapedirs=shapes,
        exprdirs=smiles,
        correctives=blocks_from_dense(_floats(arrays, "posedirs")),
        J_regressor=regressor,
        joints_template=joints,
        joint_dirs=(regressor @ both.flatten(1)).unflatten(1, (3, -1)),
        weights=weights,
        stretch=_stretch(template, joints, weights),
        parents=torch.tensor(PARENTS),
        faces=_ints(arrays, "f"),
        uv=_floats(arrays, "vt") if has_uv else torch.zeros(0, 2),
        uv_faces=_ints(arrays, "ft") if has_uv else torch.zeros(0, 3, dtype=torch.int64),
        regions=regions_by_joints(weights),
        landmarks=landmarks_from(
            {key: arrays[key] for key in arrays if key == "f" or key.startswith("lmk_")}
        ),
        face_units=face_units_from({}, len(template)),
        mirror_vertices=torch.zeros(0, dtype=torch.int64),
        digest=digest,
        name=name,
        hands=hand_pca_from(arrays),
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
        along = ((template - joints[joint]) @ bone / (bone @ bone).clamp_min(1e-12)).clamp(0, 1)
        shares[:, joint] += weights[:, joint] * (1 - along)
        shares[:, child] += weights[:, joint] * along
    return shares


def _shape_columns(shapedirs: Tensor, betas: int, expressions: int) -> tuple[Tensor, Tensor]:
    """Cut shapedirs into betas and expressions as `smplx` does."""
    columns = shapedirs.shape[2]
    begin = 300 if columns >= WIDE_SHAPE_COLUMNS else SHAPE_COUNT
    for what, asked, have in (
        ("betas", betas, min(begin, columns)),
        ("expressions", expressions, max(columns - begin, 0)),
    ):
        if not 1 <= asked <= have:
            raise InputError(
                f"{asked} {what} were asked for",
                why=f"this body file has {have}",
                fix=f"ask for 1 to {have}, or use a file with more",
            )
    shapes = shapedirs[..., :betas].contiguous()
    return shapes, shapedirs[..., begin : begin + expressions].contiguous()


def _check_body(path: Path, arrays: Arrays) -> None:
    """Refuse files in which arrays are missing or contradict each other."""
    missing = [name for name in NEEDED if name not in arrays or arrays[name].dtype.kind == "U"]
    if missing:
        raise FileFormatError(
            f"{path} lacks {', '.join(missing)}",
            why="an SMPL-X model file holds " + ", ".join(NEEDED),
            fix="give the SMPL-X model itself (SMPLX_NEUTRAL.npz), not a motion or another body",
        )
    first = arrays["v_template"].shape
    count = first[0] if first else 0
    if not 0 < count <= MOST_VERTICES:
        raise FileFormatError(
            f"{path} has {count} vertices",
            why=f"a body has 1 to {MOST_VERTICES}; SMPL-X has 10,475",
            fix="use an SMPL-X file",
        )
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
    _check_numbers(path, arrays)
    faces, tree = arrays["f"].astype("int64"), arrays["kintree_table"].astype("int64")
    if not faces.size or not 0 <= faces.min() <= faces.max() < count:
        raise FileFormatError(
            f"the {len(faces)} faces in {path} name vertices that it lacks",
            why=f"the body has {count} vertices",
            fix="fetch the file again; it is damaged",
        )
    if tuple(tree[0, 1:]) != PARENTS[1:]:
        raise FileFormatError(
            f"{path} has another joint tree",
            why="poses mean something only on the tree of SMPL-X",
            fix="use an SMPL-X file; SMPL and SMPL-H have other joints",
        )


def _check_numbers(path: Path, arrays: Arrays) -> None:
    """Refuse numbers that are none, and weights that are no shares."""
    for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights"):
        # The sum of finite numbers of a body is finite, and needs no second array.
        if not np.isfinite(arrays[name].sum(dtype=np.float64)):
            raise FileFormatError(
                f"{name} in {path} holds numbers that are not finite",
                why="they would spread over the whole body",
                fix="fetch the file again; it is damaged",
            )
    sums = arrays["weights"].sum(1, dtype=np.float64)
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums[worst] - 1) > WEIGHT_SLACK:
        raise FileFormatError(
            f"row {worst} of weights in {path} sums to {sums[worst]:.4f}",
            why="skinning weights are shares of one vertex and sum to 1",
            fix="fetch the file again; it is damaged",
        )


def _floats(arrays: Arrays, name: str) -> Tensor:
    return torch.from_numpy(arrays[name].astype("float32"))


def _ints(arrays: Arrays, name: str) -> Tensor:
    return torch.from_numpy(arrays[name].astype("int64"))
