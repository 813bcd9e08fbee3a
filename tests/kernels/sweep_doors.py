"""Hand every kernel one bad tensor at a time, without the shape checker; print what got through.

Run by test_doors.py in a process of its own: under pytest annotations are executed, and would
refuse most of this before our own doors are asked.
"""

import sys
from dataclasses import fields, replace

import torch

from persona.core.errors import PersonaError
from persona.geometry.cameras import Camera
from persona.kernels import (
    ClothBody,
    ClothContacts,
    ClothMesh,
    ClothRules,
    Puppet,
    PuppetPose,
    Rig,
    cloth_substep,
    draw_posed,
    nearest_skin,
    pose_gaussians,
    project_gaussians,
    project_oriented,
    rasterize,
    rasterize_mesh,
    run_cloth,
)

N, V, J, E, K, M = 6, 5, 3, 2, 2, 4
"""Gaussians, vertices, joints, expressions, shares of a Gaussian, correctives."""
CAMERA = Camera(width=9, height=7, focal_px=9.0, center_px=(4.0, 3.0), T_camera_world=torch.eye(4))


def rows(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) + 0.1


RIG = {
    "means": rows(N, 3),
    "tangents": rows(N, 3, 2),
    "scales": rows(N, 3),
    "corners": torch.zeros(N, 3, dtype=torch.int64),
    "corner_shares": rows(N, 3),
    "bone_ids": torch.zeros(N, K, dtype=torch.int64),
    "bone_weights": rows(N, K),
    "weight_gradients": rows(N, K, 3),
}
PUPPET = {
    "opacities": rows(N),
    "features": rows(N, 3),
    "parents": torch.tensor([-1, 0, 1]),
    "rest_joints": rows(J, 3),
    "joint_dirs": rows(J, 3, E),
    "expression_dirs": rows(V, 3, E),
    "corrective_joints": torch.zeros(M, dtype=torch.int64),
    "corrective_vertices": torch.zeros(M, dtype=torch.int64),
    "corrective_directions": rows(M, 3, 9),
}
POSE = {
    "rotations": rows(J, 3),
    "expression": rows(E),
    "translation": rows(3),
    "vertex_offsets": rows(V, 3),
    "gaussian_offsets": rows(N, 3),
    "gaussian_slopes": rows(N, 3, 3),
}
SIZE = {"width": 9, "height": 7}
CLOTH = {
    "faces": torch.tensor([[0, 1, 2], [0, 2, 3]]),
    "rest": rows(N, 3),
    "inverse_masses": rows(N),
    "holds": rows(N),
    "thickness": rows(N),
    "layers": torch.zeros(N, dtype=torch.int64),
    "garments": torch.zeros(N, dtype=torch.int64),
    "anchors": torch.zeros(N, dtype=torch.int64),
    "anchor_lengths": rows(N),
    "springs": torch.tensor([[0, 1], [2, 3]]),
    "lengths": rows(2),
    "compliances": rows(2),
}
STEP = {
    "positions": rows(N, 3),
    "velocities": rows(N, 3),
    "targets": rows(N, 3),
    "earlier": rows(V, 3),
    "now": rows(V, 3),
    "normals": rows(V, 3),
    "near": torch.zeros(N, 2, dtype=torch.int64),
    "pairs": torch.tensor([[3, 0], [1, 1]]),
    "sides": rows(2),
}
FRAME = {
    "positions": rows(N, 3),
    "body_before": rows(V, 3),
    "body_after": rows(V, 3),
    "targets_before": rows(N, 3),
    "targets_after": rows(N, 3),
}
SKIN = {"faces": torch.tensor([[0, 1, 2], [2, 1, 4]])}


def rig_of(given):
    return Rig(**given, vertex_count=V, bone_count=J)


def puppet_of(given):
    return Puppet(rig=rig_of(RIG), **given)


def cloth_of(given):
    return ClothMesh(**given, color_begin=(0, 2), edge_color_count=1)


def skin_of(given):
    return ClothBody(**given, vertex_count=V)


def step(mesh, body, given):
    contacts = ClothContacts(**{name: given[name] for name in ("near", "pairs", "sides")})
    state = (given[name] for name in ("positions", "velocities", "targets"))
    skin = tuple(given[name] for name in ("earlier", "now", "normals"))
    return cloth_substep(mesh, body, *state, skin, contacts, 0.01, rules=ClothRules())


def frame(given):
    run = run_cloth(cloth_of(CLOTH), skin_of(SKIN), given["positions"])
    bodies, targets = (
        tuple(given[f"{name}_{when}"] for when in ("before", "after"))
        for name in ("body", "targets")
    )
    run.frame(bodies, targets, 0.01, rules=ClothRules())
    return run.positions, run.velocities


OPS = {
    "ClothMesh": (CLOTH, lambda given: step(cloth_of(given), skin_of(SKIN), STEP)),
    "ClothBody": (SKIN, lambda given: step(cloth_of(CLOTH), skin_of(given), STEP)),
    "cloth_substep": (STEP, lambda given: step(cloth_of(CLOTH), skin_of(SKIN), given)),
    "run_cloth": (FRAME, frame),
    "nearest_skin": (
        {"positions": rows(N, 3), "skin": rows(V, 3)},
        lambda given: nearest_skin(cloth_of(CLOTH), skin_of(SKIN), **given, reach=0.5),
    ),
    "rasterize": (
        {
            "means2d": rows(N, 2),
            "conics": rows(N, 3),
            "opacities": rows(N),
            "features": rows(N, 3),
            "depths": rows(N),
        },
        lambda given: rasterize(**given, **SIZE),
    ),
    "project_gaussians": (
        {"means": rows(N, 3), "covariances": rows(N, 6)},
        lambda given: project_gaussians(**given, camera=CAMERA),
    ),
    "project_oriented": (
        {"means": rows(N, 3), "quats_wxyz": rows(N, 4), "scales": rows(N, 3)},
        lambda given: project_oriented(**given, camera=CAMERA),
    ),
    "rasterize_mesh": (
        {"vertices2d": rows(V, 2), "depths": rows(V), "faces": torch.tensor([[0, 1, 2]])},
        lambda given: rasterize_mesh(**given, **SIZE),
    ),
    "Rig": (RIG, lambda given: pose_gaussians(rig_of(given), rows(V, 3), rows(J, 4, 4))),
    "pose_gaussians": (
        {"flesh": rows(V, 3), "T_posed_rest": rows(J, 4, 4)},
        lambda given: pose_gaussians(rig_of(RIG), **given),
    ),
    "Puppet": (PUPPET, lambda given: draw_posed(puppet_of(given), PuppetPose(**POSE), CAMERA)),
    "draw_posed": (
        POSE,
        lambda given: draw_posed(puppet_of(PUPPET), PuppetPose(**given), CAMERA),
    ),
}


def bad(value):
    """List what must be refused in the place of a tensor."""
    spoiled = value.clone()
    changes = {
        "one dimension more": value[None],
        "one dimension less": value[0],
        "a row more": torch.cat([value, value[:1]]),
        "a column more": torch.cat([value, value[..., :1]], -1),
        "bool": value.bool(),
        "complex": value.to(torch.complex64),
        "half": value.half(),
        "elsewhere": value.to("meta"),
    }
    if value.is_floating_point():
        changes["double"] = value.double()
        for name, number in (("nan", float("nan")), ("inf", float("inf"))):
            spoiled = value.clone()
            spoiled.view(-1)[-1] = number
            changes[name] = spoiled
    else:
        changes["float"] = value.float()
        for name, number in (("negative", -2), ("too large", 1 << 20)):
            spoiled = value.clone()
            spoiled.view(-1)[-1] = number
            changes[name] = spoiled
    return changes


def scattered(value):
    """The same numbers, not next to each other."""
    return torch.stack([value, value], -1)[..., 0]


def same(a, b):
    """Tell whether two results are equal to the bit."""
    if torch.is_tensor(a):
        return torch.equal(a, b)
    if not isinstance(a, tuple):
        a, b = (tuple(getattr(r, f.name) for f in fields(r)) for r in (a, b))
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


FREE = {
    # The first tensor sets the number of rows, the precision, or both; the others then differ.
    ("rasterize_mesh", "faces", "a row more"),
    ("ClothMesh", "faces", "a row more"),
    ("ClothBody", "faces", "a row more"),
    ("rasterize", "features", "a column more"),
    ("Puppet", "features", "a column more"),
}
"""What is no mistake."""


def main():
    wrong = []
    count = 0
    for op, (tensors, call) in OPS.items():
        expected = call(tensors)
        for name, value in tensors.items():
            count += 1
            if not same(call({**tensors, name: scattered(value)}), expected):
                wrong.append(f"{op}: {name} read wrong when scattered")
            for what, spoiled in bad(value).items():
                count += 1
                try:
                    call({**tensors, name: spoiled})
                except PersonaError:
                    continue
                except Exception as error:  # noqa: BLE001  any other error is what we look for
                    wrong.append(f"{op}: {name} with {what} raised {error!r}")
                    continue
                if (op, name, what) not in FREE:
                    wrong.append(f"{op}: {name} with {what} was taken")
    bent = replace(CAMERA, T_camera_world=torch.full((4, 4), float("nan")))
    try:
        draw_posed(puppet_of(PUPPET), PuppetPose(**POSE), bent)
        wrong.append("a camera of NaN was taken")
    except PersonaError:
        pass
    sys.stdout.write(f"{count} calls\n" + "".join(f"{line}\n" for line in wrong))


if __name__ == "__main__":
    main()
