"""A turned face: how much of its far half is believed, and what its near half shows instead."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import cKDTree

from persona.core.types import Image
from persona.optimization.cloud import PhotoCloud
from persona.optimization.head import TWIN, Ears, far_cheek
from persona.optimization.limbs import Limb
from persona.optimization.visibility import Visibility, sample_image

SURE_FACING = 0.62
"""Least cosine at which the far half of a turned face is believed [-]."""
EYE_REACH = 0.026
"""An eye with its lids and brow reaches so far around its middle [m]."""
EYE_SHARE = 0.9
"""Share of it that must be seen, or all of it is mirrored: half an eye and half another is none."""
SMOOTHING = 24
"""Gaussians over which facing is averaged, so that the seam is a line."""
PATCH = 12
"""Seen Gaussians that say to which pixel a place beside them belongs."""
RIDGE = 1e-7
"""Keeps that from tilting where they lie on a line [m^2]."""


def distrust_far_half(
    visibility: Visibility,
    cloud: PhotoCloud,
    side: int,
    ears: Ears,
    eyes: Float[np.ndarray, "2 3"],
) -> Visibility:
    """Believe of the far half of a turned face what faces the camera, and an eye as a whole.

    There a pixel covers centimetres, nose and hair stand before it, and what the fit has a pixel
    off is painted where it does not belong. The near half knows better.

    Args:
        visibility: What the photo shows.
        cloud: Gaussians in the photo's pose.
        side: Which half is far, from `far_side`.
        ears: Of the person at rest.
        eyes: Middles of both eyes at rest [m].

    Returns:
        The same where both halves of the face show.
    """
    rest = cloud.rest_body.numpy().astype(np.float64)
    on_skin = (cloud.limb == Limb.HEAD).numpy() & (cloud.is_hair < 0.5).numpy()
    facing = visibility.facing.numpy()
    far = far_cheek(rest, on_skin, side, ears)
    if not far.any():
        return visibility
    here, skin = np.where(far)[0], np.where(on_skin)[0]
    around = cKDTree(rest[skin]).query(rest[here], min(SMOOTHING, len(skin)))[1]
    sure = np.zeros(len(far), bool)
    sure[here] = facing[skin][around].mean(1) > SURE_FACING
    seen = visibility.seen.numpy()
    for eye in eyes:
        mine = far & (np.linalg.norm(rest[:, :2] - eye[:2], axis=1) < EYE_REACH)
        if mine.any():
            sure[mine] = (sure & seen)[mine].mean() > EYE_SHARE
    mirrored = torch.from_numpy(far & ~(sure & seen))
    return replace(
        visibility,
        seen=visibility.seen & ~mirrored,
        believed=visibility.believed & ~mirrored,
        mirrored=mirrored,
    )


def mirrored_colors(
    rest: np.ndarray,
    pixels: Float[np.ndarray, "n 2"],
    image: Image,
    *,
    wanted: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """Read from the photo what the other half of a head shows at the mirrored place.

    The pixel of that place is continued from those of the seen Gaussians around it, so that an
    eye stays as sharp as it is in the photo.

    Args:
        rest: Naked body's surface in the rest pose, where the head's middle is at x = 0 [m],
            (n, 3).
        pixels: Where each falls in the image.
        image: The photo.
        wanted: Rows to colour.
        known: Rows that are seen.

    Returns:
        sRGB, (n, 3); nan where a row is not wanted or its twin is not seen.
    """
    colors = np.full((len(rest), 3), np.nan)
    if len(known) < PATCH or len(wanted) == 0:
        return colors
    places = rest[wanted] * np.array([-1.0, 1.0, 1.0])
    distance, ids = cKDTree(rest[known]).query(places, PATCH)
    near = distance[:, 0] < TWIN
    ids, places, mine = known[ids[near]], places[near], wanted[near]
    if len(mine) == 0:
        return colors
    share = 1.0 / (distance[near] ** 2 + RIDGE)
    share /= share.sum(1, keepdims=True)
    middle = np.einsum("nk,nkc->nc", share, rest[ids])
    pixel = np.einsum("nk,nkc->nc", share, pixels[ids])
    apart, moved = rest[ids] - middle[:, None], pixels[ids] - pixel[:, None]
    square = np.einsum("nk,nka,nkb->nab", share, apart, apart) + RIDGE * np.eye(3)
    slope = np.linalg.solve(square, np.einsum("nk,nka,nkb->nab", share, apart, moved))
    pixel = pixel + np.einsum("na,nab->nb", places - middle, slope)
    read = sample_image(image, torch.from_numpy(pixel).float())
    colors[mine] = read.numpy()
    return colors
