"""Files with the layout of licensed SMPL-X models, filled with our own numbers.

Names, shapes, types and the members that hold Python objects are those of the real files: 10,475
vertices, 20,908 triangles, 55 joints. The numbers are random, or the open body's.
"""

import heapq
import pickle
import sys
import types
from dataclasses import replace
from functools import lru_cache

import numpy as np
import scipy.sparse as sp
import torch

from persona.body import load_body
from persona.body.skeleton import JOINT_NAMES, PARENTS
from persona.records.body_params import rest_params

VERTICES, FACES, JOINTS = 10_475, 20_908, 55


def kintree():
    tree = np.stack([np.array(PARENTS), np.arange(JOINTS)]).astype(np.int64)
    tree[0, 0] = 2**32 - 1
    return tree


def with_extras(arrays, seed=0):
    """Add what real files hold beyond the model: landmarks, hands, texture, Python objects."""
    generator = np.random.default_rng(seed)
    names = np.array({name: k for k, name in enumerate(JOINT_NAMES)}, dtype=object)
    extras = {
        "hands_componentsl": np.linalg.qr(generator.normal(size=(45, 45)))[0],
        "hands_componentsr": np.linalg.qr(generator.normal(size=(45, 45)))[0],
        "hands_meanl": generator.normal(0, 0.2, 45),
        "hands_meanr": generator.normal(0, 0.2, 45),
        "hands_coeffsl": generator.normal(size=(1554, 45)),
        "hands_coeffsr": generator.normal(size=(1554, 45)),
        "lmk_faces_idx": generator.integers(0, FACES, 51),
        "lmk_bary_coords": np.full((51, 3), 1 / 3),
        "dynamic_lmk_faces_idx": generator.integers(0, FACES, (79, 17)),
        "dynamic_lmk_bary_coords": np.full((79, 17, 3), 1 / 3),
        "vt": generator.uniform(0, 1, (11_313, 2)),
        "ft": generator.integers(0, 11_313, (FACES, 3)).astype(np.uint32),
        "joint2num": names,
        "part2num": names,
    }
    return extras | arrays


@lru_cache(maxsize=2)
def random_arrays(columns=400, seed=0):
    """Fill the layout with random numbers of a body's magnitude."""
    generator = np.random.default_rng(seed)
    weights = generator.uniform(0, 1, (VERTICES, JOINTS)) ** 8
    regressor = generator.uniform(0, 1, (JOINTS, VERTICES)) ** 20
    arrays = {
        "v_template": generator.normal(0, 0.4, (VERTICES, 3)),
        "f": generator.permuted(
            np.stack([(np.arange(FACES) * k + k) % VERTICES for k in (1, 2, 5)], 1), axis=1
        ).astype(np.uint32),
        "shapedirs": generator.normal(0, 0.01, (VERTICES, 3, columns)),
        "posedirs": generator.normal(0, 0.001, (VERTICES, 3, 9 * (JOINTS - 1))),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": kintree(),
    }
    return with_extras(arrays, seed)


@lru_cache(maxsize=2)
def human_arrays(*, changed=False):
    """Fill the layout with the open body on a coarser mesh: every vertex is one of its own.

    Args:
        changed: Give it other proportions, another stature and a longer nose than the open body's.

    Returns:
        The arrays, and the changed open body on its own mesh (v, 3), which says what is where.
    """
    body = load_body()
    template = _changed_template(body) if changed else body.v_template
    kept, faces = _coarser(template.numpy(), body.faces.numpy(), body.regions)
    owner = np.zeros((body.vertex_count, 3))
    owner[:] = template.numpy()
    from scipy.spatial import cKDTree

    nearest = cKDTree(owner[kept]).query(owner)[1]
    spread = sp.csr_array((np.ones(len(owner)), (np.arange(len(owner)), nearest)))
    shapes = np.zeros((VERTICES, 3, 400), np.float32)
    shapes[..., :10], shapes[..., 300:310] = body.shapedirs[kept], body.exprdirs[kept]
    posedirs = np.zeros((body.vertex_count, 3, JOINTS - 1, 9), np.float32)
    for block in body.correctives:
        posedirs[block.vertex_ids, :, block.joint - 1] = block.directions
    marks = body.landmarks.face51.on(template).numpy()
    owners, shares = _closest(marks, owner[kept], faces)
    arrays = {
        "v_template": owner[kept],
        "f": faces.astype(np.uint32),
        "shapedirs": shapes,
        "posedirs": posedirs[kept].reshape(VERTICES, 3, -1),
        "J_regressor": (spread.T @ body.J_regressor.numpy().T).T,
        "weights": body.weights[kept].numpy(),
        "kintree_table": kintree(),
        "lmk_faces_idx": owners,
        "lmk_bary_coords": shares,
    }
    return with_extras(arrays), template


def write_npz(path, arrays):
    np.savez(path, **arrays)
    return path


def write_pkl(path, arrays, *, old=False):
    """Write the pickle of a model; an old one holds chumpy arrays and a sparse regressor."""
    plain = dict(arrays)
    if not old:
        path.write_bytes(pickle.dumps(plain, protocol=2))
        return path
    plain["J_regressor"] = sp.csc_matrix(plain["J_regressor"])
    module = types.ModuleType("chumpy.ch")
    kind = type("Ch", (), {"__module__": "chumpy.ch"})
    module.Ch = kind
    sys.modules |= {"chumpy": types.ModuleType("chumpy"), "chumpy.ch": module}
    try:
        for name in ("v_template", "shapedirs"):
            held = kind()
            held.x = plain[name]
            plain[name] = held
        path.write_bytes(pickle.dumps(plain, protocol=2))
    finally:
        del sys.modules["chumpy"], sys.modules["chumpy.ch"]
    return path


def _changed_template(body):
    scales = torch.tensor([0.06, -0.05, 0.05, -0.06, 0.04, 0.05, 0.06])
    betas = torch.tensor([-0.6, 0.8, -0.7, 0.5, 0.4, -0.5, 0.3, 0.2, -0.3, 0.2])
    rest = body.forward(
        replace(rest_params(), betas=betas),
        joint_offsets=body.joint_offsets_from_bone_scales(scales, betas),
        vertex_offsets=0.5 * body.face_units.offsets_of({"noseSneerLeft": 1, "noseSneerRight": 1}),
    )
    return rest.rest_vertices


def _closest(points, vertices, faces):
    from persona.geometry.closest import closest_on_mesh

    return closest_on_mesh(points, vertices, faces)


def _coarser(vertices, faces, regions):
    """Collapse the shortest edges into one of their ends until the counts are SMPL-X's."""
    ring = [set() for _ in vertices]
    of_vertex = [set() for _ in vertices]
    triangles = {k: tuple(map(int, face)) for k, face in enumerate(faces)}
    for k, face in triangles.items():
        for vertex in face:
            of_vertex[vertex].add(k)
            ring[vertex] |= set(face) - {vertex}
    # Faces, hands and eyes of the real model are denser than the rest of it.
    fine = regions.mask("face", "ears", "left_hand", "right_hand", "left_eye", "right_eye").numpy()

    def price(a, b):
        return float(np.linalg.norm(vertices[a] - vertices[b])) * (4 if fine[a] or fine[b] else 1)

    def turns_over(face, old, new):
        """Say whether a triangle would look another way with one corner moved to another."""
        before, after = (
            np.cross(*(vertices[list(f)][1:] - vertices[f[0]]))
            for f in (face, [new if vertex == old else vertex for vertex in face])
        )
        lengths = np.linalg.norm(before) * np.linalg.norm(after)
        return before @ after < 0.5 * lengths or np.linalg.norm(after) < 1e-9

    queue = [(price(a, b), a, b) for a in range(len(vertices)) for b in ring[a] if a < b]
    heapq.heapify(queue)
    alive = len(vertices)
    gone = np.zeros(len(vertices), bool)
    while alive > VERTICES:
        _, a, b = heapq.heappop(queue)
        if gone[a] or gone[b] or b not in ring[a] or len(ring[a] & ring[b]) != 2:
            continue
        around = [triangles[k] for k in of_vertex[b] if a not in triangles[k]]
        if any(turns_over(face, b, a) for face in around):
            continue
        for k in list(of_vertex[b]):
            face = triangles[k]
            if a in face:
                del triangles[k]
                for vertex in face:
                    of_vertex[vertex].discard(k)
            else:
                triangles[k] = tuple(a if vertex == b else vertex for vertex in face)
                of_vertex[a].add(k)
        for vertex in ring[b] - {a}:
            ring[vertex].discard(b)
            ring[vertex].add(a)
            ring[a].add(vertex)
            heapq.heappush(queue, (price(a, vertex), a, vertex))
        ring[a].discard(b)
        gone[b] = True
        alive -= 1
    inner = set(regions.part("mouth_inner").tolist())
    left = [face for face in triangles.values() if not set(face) <= inner]
    holes = [face for face in triangles.values() if set(face) <= inner]
    left += holes[: FACES - len(left)]
    kept = np.flatnonzero(~gone)
    place = np.full(len(vertices), -1)
    place[kept] = np.arange(VERTICES)
    found = place[np.array(left)]
    assert found.shape == (FACES, 3)
    assert found.min() >= 0
    return kept, found
