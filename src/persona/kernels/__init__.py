"""Hot loops: each has a readable reference and faster backends that must agree with it."""

from persona.kernels.dispatch import Backend
from persona.kernels.mesh import rasterize_mesh
from persona.kernels.posed_drawing import PosedPicture, Puppet, PuppetPose, bend_puppet, draw_posed
from persona.kernels.posing import Rig, pose_gaussians
from persona.kernels.projection import project_gaussians, project_oriented
from persona.kernels.similarity import ssim_planes
from persona.kernels.splatting import rasterize

__all__ = [
    "Backend",
    "PosedPicture",
    "Puppet",
    "PuppetPose",
    "Rig",
    "bend_puppet",
    "draw_posed",
    "pose_gaussians",
    "project_gaussians",
    "project_oriented",
    "rasterize",
    "rasterize_mesh",
    "ssim_planes",
]
