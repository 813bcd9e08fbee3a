"""Find which way is up in somebody's world, and turn a motion into ours."""

from dataclasses import replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.sketch import NOMINAL_RIG
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from persona.records.body_params import BodyParams

AXES: Final = ("x", "y", "z", "-x", "-y", "-z")
"""Names of the ways that may be up."""
UPRIGHT: Final = 0.5
"""Mean cosine between the trunk and an axis from which on the axis counts as up: people in motion
files are nearer to standing than to lying, on average."""


def axis_vector(name: str) -> Float[Tensor, " 3"]:
    """Give the unit vector of one of `AXES`, in float64."""
    vector = torch.zeros(3, dtype=torch.float64)
    vector["xyz".index(name[-1])] = -1.0 if name.startswith("-") else 1.0
    return vector


def find_up(trunks: Float[Tensor, "t 3"], *, otherwise: str) -> tuple[str, str]:
    """Find the axis that the trunk points along on average.

    Args:
        trunks: From pelvis to head in the file's world, any length.
        otherwise: The axis to assume for somebody who lies or tumbles.

    Returns:
        Name of the axis, and how it was found.
    """
    mean = torch.nn.functional.normalize(trunks.double(), dim=-1).mean(0)
    index = int(mean.abs().argmax())
    share = float(mean[index])
    if abs(share) < UPRIGHT:
        return otherwise, f"{otherwise} (assumed: the body is upright along no axis)"
    found = ("" if share > 0 else "-") + "xyz"[index]
    return found, f"{found} (detected: the trunk is along it, mean cosine {abs(share):.2f})"


def turn_to_y_up(up: str) -> Float[Tensor, "3 3"]:
    """Give the rotation that makes ``up`` our y, about one axis, float64.

    What is z-up turns about x, so that x stays to the right; what is y-down turns about x, too,
    as cameras see it.
    """
    x, y, z = torch.eye(3, dtype=torch.float64)
    rows = {
        "y": (x, y, z),
        "-y": (x, -y, -z),
        "z": (x, z, -y),
        "-z": (x, -z, y),
        "x": (-y, x, z),
        "-x": (y, -x, z),
    }
    return torch.stack(rows[up])


def turned(params: BodyParams, turn: Float[Tensor, "3 3"]) -> BodyParams:
    """Turn poses about the world's origin.

    The translation is added to a body whose pelvis is not at the origin; where the pelvis is turns,
    not the translation. The pelvis is the mean body's, within 5 mm of SMPL-X's neutral one.
    """
    pelvis = NOMINAL_RIG.pelvis.double()
    orient = turn @ axis_angle_to_matrix(params.global_orient.double())
    transl = (params.transl.double() + pelvis) @ turn.T - pelvis
    return replace(
        params,
        global_orient=matrix_to_axis_angle(orient).to(params.global_orient.dtype),
        transl=transl.to(params.transl.dtype),
    )


def set_upright(
    params: BodyParams, *, otherwise: str, asked: str | None
) -> tuple[BodyParams, Float[Tensor, "3 3"], str]:
    """Turn an SMPL-X motion so that y is up.

    Args:
        params: Over time, in the file's world.
        otherwise: The axis to assume for somebody who lies or tumbles.
        asked: The axis the user says is up; None finds it.

    Returns:
        The turned motion, the turn (float64), and how the axis was found.
    """
    found, said = find_up(trunks_of(params.global_orient), otherwise=otherwise)
    if asked is not None:
        found, said = asked, f"{asked} (as asked)"
    turn = turn_to_y_up(found)
    return turned(params, turn), turn, said


def trunks_of(global_orient: Float[Tensor, "t 3"]) -> Float[Tensor, "t 3"]:
    """Give the way the trunk of an SMPL-X body points: its own y axis."""
    return axis_angle_to_matrix(global_orient.double())[..., :, 1]
