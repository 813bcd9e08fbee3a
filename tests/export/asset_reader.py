"""Read a web asset back into what our own renderer draws: the page's decoder, once more."""

import json
from dataclasses import dataclass

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import load

from persona.avatar.correctives import Correctives
from persona.avatar.slopes import Slopes
from persona.geometry.rotations import quaternion_to_matrix
from persona.kernels import Puppet, Rig
from persona.records.nodes import Nodes

MOST = 65535.0


@dataclass(frozen=True)
class Asset:
    head: dict
    puppet: Puppet
    albedo: torch.Tensor
    light_normals: torch.Tensor
    correctives: Correctives | None
    slopes: Slopes | None


def read_asset(data: bytes, path) -> Asset:
    path.write_bytes(data)
    with safe_open(path, "np") as file:
        head = json.loads(file.metadata()["head"])
    arrays = load(data)

    def real(name: str) -> torch.Tensor:
        value = torch.from_numpy(arrays[name].astype(np.float64))
        if name in head["scales"]:
            scale = head["scales"][name]
            value = torch.tensor(scale["low"]) + torch.tensor(scale["step"]) * value
        return value.float()

    def ids(name: str) -> torch.Tensor:
        return torch.from_numpy(arrays[name].astype(np.int64))

    n, vertices, joints = head["count"], 1 << 16, len(head["joints"])
    quats = torch.nn.functional.normalize(real("quats"), dim=1)
    gradients = real("weight_gradients") * real("gradient_steps")[:, None]
    gradients = gradients.reshape(n, -1, 3)
    # The page takes bones relative to the posed mean, where what rounding leaves has no weight;
    # our renderer expects rows that sum to zero.
    gradients = gradients - real("bone_weights")[..., None] / MOST * gradients.sum(1, keepdim=True)
    rig = Rig(
        means=real("means"),
        tangents=quaternion_to_matrix(quats)[..., :2],
        scales=real("log_scales").exp(),
        corners=ids("corners"),
        corner_shares=real("corner_shares") / MOST,
        bone_ids=ids("bone_ids"),
        bone_weights=real("bone_weights") / MOST,
        weight_gradients=gradients,
        vertex_count=vertices,
        bone_count=joints,
    )
    smiles = torch.zeros(vertices, 3, real("expression_dirs").shape[1] // 3)
    smiles[ids("expression_vertices")] = real("expression_dirs").reshape(-1, 3, smiles.shape[2])
    colors = real("colors") / 255
    puppet = Puppet(
        rig=rig,
        opacities=colors[:, 3].clone(),
        features=colors[:, :3].clone(),
        parents=torch.tensor(head["parents"]),
        rest_joints=real("rest_joints"),
        joint_dirs=real("joint_dirs"),
        expression_dirs=smiles,
        corrective_joints=ids("corrective_joints"),
        corrective_vertices=ids("corrective_vertices"),
        corrective_directions=real("corrective_dirs").reshape(-1, 3, 9),
    )
    correctives = slopes = None
    if "cloth_shapes" in arrays:
        shapes = real("cloth_shapes")
        nodes_count = shapes.shape[1] // 3
        correctives = Correctives(
            shapes=shapes.unflatten(1, (nodes_count, 3)),
            weights=real("cloth_weights"),
            anchor=real("cloth_anchor"),
        )
        nodes = Nodes(
            points=torch.zeros(nodes_count, 3),
            joints=torch.zeros(nodes_count, dtype=torch.int64),
            holder_ids=ids("cloth_holders"),
            shares=real("cloth_shares") / MOST,
        )
        slopes = Slopes(
            nodes=nodes,
            neighbor_ids=ids("cloth_neighbors"),
            gains=real("cloth_gains").unflatten(1, (-1, 3)),
        )
    return Asset(
        head=head,
        puppet=puppet,
        albedo=real("albedo_roots").square(),
        light_normals=torch.nn.functional.normalize(real("light_normals"), dim=1),
        correctives=correctives,
        slopes=slopes,
    )
