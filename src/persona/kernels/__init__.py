"""Hot loops: each has a readable reference and faster backends that must agree with it."""

from persona.kernels.cloth import cloth_substep, nearest_skin, run_cloth
from persona.kernels.cloth_mesh import ClothBody, ClothContacts, ClothMesh, ClothRules
from persona.kernels.dispatch import Backend
from persona.kernels.mesh import rasterize_mesh
from persona.kernels.posed_drawing import PosedPicture, Puppet, PuppetPose, bend_puppet, draw_posed
from persona.kernels.posing import Rig, pose_gaussians
from persona.kernels.projection import project_gaussians, project_oriented
from persona.kernels.similarity import ssim_planes
from persona.kernels.splatting import rasterize

__all__ = [
    "Backend",
    "ClothBody",
    "ClothContacts",
    "ClothMesh",
    "ClothRules",
    "PosedPicture",
    "Puppet",
    "PuppetPose",
    "Rig",
    "bend_puppet",
    "cloth_substep",
    "draw_posed",
    "nearest_skin",
    "pose_gaussians",
    "project_gaussians",
    "project_oriented",
    "rasterize",
    "rasterize_mesh",
    "run_cloth",
    "ssim_planes",
]
