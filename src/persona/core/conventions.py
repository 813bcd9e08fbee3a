"""The one page of conventions: axes, units, rotations, colours and pixels.

Units: metres, radians, seconds; pixels where a name ends in ``_px``.

World: x right, y up, z towards the viewer. A person in SMPL-X rest pose faces +z, so that their
left hand points to +x. Floor at y = 0 when a motion is played.

Camera: x right, y down, z forward (OpenCV). In the records of a photo the camera stands at the
world's origin: ``T_camera_world`` is `T_PHOTO_CAMERA_WORLD`.

Pixels: pixel (row i, column j) covers [j, j + 1) x [i, i + 1); its centre is (j + 0.5, i + 0.5).

Rotations: axis-angle at the API, in SMPL-X joint order; matrices inside, acting on column
vectors; quaternions are wxyz. Transforms cancel: ``x_world = T_world_camera @ x_camera``.

Colour: sRGB in [0, 1] unless a name says ``linear``. Opacity is linear in [0, 1]. Depth is along
the camera's z.
"""

from typing import Final

T_PHOTO_CAMERA_WORLD: Final = (
    (1.0, 0.0, 0.0, 0.0),
    (0.0, -1.0, 0.0, 0.0),
    (0.0, 0.0, -1.0, 0.0),
    (0.0, 0.0, 0.0, 1.0),
)
"""World to camera for the photo: the same origin, y and z flipped."""

JOINT_COUNT: Final = 55
"""Joints of SMPL-X: 22 body, jaw, two eyes, 15 in each hand."""

PROVENANCE: Final = "made from a photo of a real person by persona"
"""Written into every file that leaves the program."""
RIGHTS: Final = "the photo is its owner's; the person shown must agree to every use"
"""Written into films, pictures and exports beside it."""
