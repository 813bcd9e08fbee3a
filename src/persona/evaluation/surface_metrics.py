"""How far a drawn surface is from the true one: both as cameras all around see them.

Clouds, textured meshes and anything else that draws depth are measured in the same way. Cameras of
a ring around the person, and one from above, see each surface; every pixel that shows it is a
point with a normal. The error in either direction is the distance from each point of one surface to
the nearest point of the other. What lies inside and is never seen does not count.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial import cKDTree
from torch import Tensor

from persona.core.errors import InputError
from persona.evaluation.methods import Drawer, Drawn
from persona.evaluation.subjects import SubjectFrame, TrueSurface
from persona.geometry.cameras import Camera, look_at
from persona.rendering.body_maps import draw_body_maps

RING: Final = 8
"""Cameras around the person, level with their middle."""
ABOVE_DEG: Final = 60.0
"""Height of one more camera, before the person [deg]."""
DISTANCE: Final = 6.0
"""Of every camera [m]."""
ROWS: Final = 640
"""Of every camera's picture [px]: points lie 4 mm apart in one view, 1.5 mm in all. A pixel of a
cloud mixes the depths of all it covers, which lie before the surface where that turns away: by
3 mm with 320 rows, by 1 mm with 640."""
ASKED: Final = 4
"""One point in so many is asked for its distance; all of them may be the nearest."""
SOLID: Final = 0.5
"""Least coverage of a pixel that shows a surface."""
JUMP_M: Final = 0.03
"""A pixel whose neighbour is this much deeper lies on an edge, where depth is a mixture [m]."""
TOO_FAR_M: Final = 0.3
"""Farther points count as so far [m]: one stray does not decide a mean."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SeenSurface:
    """What cameras all around see of a surface."""

    points: Float[ndarray, "n 3"]
    """[m], world frame."""
    normals: Float[ndarray, "n 3"]
    """Unit, towards the cameras, world frame."""


@dataclass(frozen=True, kw_only=True)
class SurfaceErrors:
    """Means over the points of a frame."""

    accuracy_mm: float
    """From the drawn surface to the true one: what is drawn where nothing is."""
    completeness_mm: float
    """From the true surface to the drawn one: what is missing."""
    normal_deg: float
    """Between the normal of a drawn point and that of the nearest true one."""

    @property
    def vertex_mm(self) -> float:
        """Mean of both directions."""
        return (self.accuracy_mm + self.completeness_mm) / 2


def surface_errors(drawer: Drawer, frame: SubjectFrame) -> SurfaceErrors | None:
    """Compare what a method draws of a frame with what is there.

    Args:
        drawer: Who draws; asked for maps, seen from all around.
        frame: Must have a surface.

    Returns:
        None where the method has no surface: a copy of a photo.

    Raises:
        InputError: The frame's surface is not known.
    """
    if frame.surface is None:
        raise InputError(
            f"the surface of frame {frame.name} is not known",
            why="it is known of generated people, in some frames",
            fix="measure frames that have one",
        )
    cameras = cameras_around(frame.surface)
    drawn = [drawer.draw(frame, camera=camera, maps=True) for camera in cameras]
    if any(view.depth is None or view.normal is None for view in drawn):
        return None
    ours = _together([_of_drawn(v, c) for v, c in zip(drawn, cameras, strict=True)])
    return compare_surfaces(ours, see_truth(frame.surface, cameras))


def compare_surfaces(drawn: SeenSurface, true: SeenSurface) -> SurfaceErrors:
    """Measure both directions; a method that draws nothing is everywhere `TOO_FAR_M` off."""
    if not len(drawn.points):
        worst = 1000 * TOO_FAR_M
        return SurfaceErrors(accuracy_mm=worst, completeness_mm=worst, normal_deg=90.0)
    out, near = cKDTree(true.points).query(drawn.points[::ASKED])
    missing, _ = cKDTree(drawn.points).query(true.points[::ASKED])
    cosine = (drawn.normals[::ASKED] * true.normals[near]).sum(1).clip(-1, 1)
    return SurfaceErrors(
        accuracy_mm=1000 * float(np.minimum(out, TOO_FAR_M).mean()),
        completeness_mm=1000 * float(np.minimum(missing, TOO_FAR_M).mean()),
        normal_deg=float(np.degrees(np.arccos(cosine)).mean()),
    )


def cameras_around(surface: TrueSurface) -> list[Camera]:
    """Stand around a person: a ring, and one above."""
    low, high = surface.vertices.amin(0), surface.vertices.amax(0)
    middle, span = (low + high) / 2, float((high - low).norm())
    ways = [(2 * math.pi * k / RING, 0.0) for k in range(RING)] + [(0.0, math.radians(ABOVE_DEG))]
    cameras = []
    for yaw, lift in ways:
        way = torch.tensor(
            [math.sin(yaw) * math.cos(lift), math.sin(lift), math.cos(yaw) * math.cos(lift)]
        )
        cameras.append(
            Camera(
                width=ROWS,
                height=ROWS,
                focal_px=ROWS * DISTANCE / (1.1 * span),
                center_px=(ROWS / 2, ROWS / 2),
                T_camera_world=look_at(middle + DISTANCE * way, middle),
            )
        )
    return cameras


def see_truth(surface: TrueSurface, cameras: list[Camera]) -> SeenSurface:
    """Give what the cameras see of a true surface."""
    views = []
    for camera in cameras:
        maps = draw_body_maps(surface.vertices, surface.faces, camera)
        # Cloth seen through its hem turns its inner side to the camera.
        normal = torch.where(maps.normal[..., 2:] > 0, -maps.normal, maps.normal)
        views.append(_seen(maps.mask.float(), maps.depth, normal, camera))
    return _together(views)


def _of_drawn(drawn: Drawn, camera: Camera) -> SeenSurface:
    assert drawn.depth is not None
    assert drawn.normal is not None
    return _seen(drawn.alpha, drawn.depth, drawn.normal, camera)


def _seen(
    alpha: Float[Tensor, "h w"],
    depth: Float[Tensor, "h w"],
    normal: Float[Tensor, "h w 3"],
    camera: Camera,
) -> SeenSurface:
    solid = (alpha > SOLID) & (depth > 0)
    shown = depth.numpy()
    near = np.where(solid.numpy(), shown, np.inf)
    for axis in (0, 1):
        for step in (-1, 1):
            beside = np.roll(near, step, axis)
            solid &= torch.from_numpy(~(np.isfinite(beside) & (shown - beside > JUMP_M)))
    y, x = solid.nonzero().unbind(1)
    pixels = torch.stack([x, y], 1) + 0.5
    world = normal[y, x] @ camera.T_camera_world[:3, :3]
    return SeenSurface(
        points=camera.unproject(pixels, depth[y, x]).numpy(),
        normals=torch.nn.functional.normalize(world, dim=1).numpy(),
    )


def _together(views: list[SeenSurface]) -> SeenSurface:
    return SeenSurface(
        points=np.concatenate([view.points for view in views]),
        normals=np.concatenate([view.normals for view in views]),
    )
