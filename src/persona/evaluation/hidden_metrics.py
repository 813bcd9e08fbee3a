"""What a pretty front can hide: camouflage backs, printed fronts, tears, holes, wrong hands."""

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from scipy.spatial import cKDTree
from torch import Tensor

from persona.avatar import Avatar
from persona.body.skeleton import JOINT_IDS, JOINT_NAMES
from persona.core.types import Image, Mask
from persona.evaluation.color import lab_distance, to_lab
from persona.evaluation.poses import all_test_poses
from persona.geometry.cameras import Camera, look_at
from persona.images.masks import erode
from persona.kernels.mesh import rasterize_mesh
from persona.records.body_params import BodyParams
from persona.records.gaussians import Gaussians
from persona.records.observation import Part
from persona.rendering import render
from persona.rendering.camera_paths import fit_camera

NEIGHBOURS = 16
"""Gaussians that a colour is compared with."""
NEAR = 0.05
"""Seen Gaussians farther away than this do not say what an unseen one should look like [m]."""
DETAIL_PX = 4.0
"""What is finer than this blur counts as detail; the person is 512 px tall [px]."""
FAR = 40.0
"""From here front and back have the same outline [m]."""
TORN = 3.0
"""Neighbours that move apart this many times are torn [-]."""
OPAQUE = 0.9
"""Alpha below this lets the background through [-]."""
PICTURE_PX = 512
"""Height of the pictures in which holes and blobs are counted."""
VIEWS = (0.0, 0.5 * math.pi, math.pi, 1.5 * math.pi)
"""From where holes and blobs are looked for [rad]."""


def measure_hidden(avatar: Avatar) -> dict[str, float]:
    """Measure everything that the photo's own view cannot show."""
    numbers = {**unseen_colors(avatar), "front_leak": front_leak(avatar)}
    numbers["hand_face_lab"] = hand_face_distance(avatar)
    return numbers | faults_in_test_poses(avatar)


def unseen_colors(avatar: Avatar) -> dict[str, float]:
    """Compare the colours of what was invented with what the photo shows nearby.

    Contrast is the median difference to the mean of the nearest seen Gaussians of the same part.
    Roughness compares how much colours vary from neighbour to neighbour, unseen over seen.
    """
    points, seen = avatar.canonical.means.numpy(), avatar.seen.numpy()
    lab = to_lab(avatar.canonical.colors.clamp(0, 1)).numpy()
    parts = avatar.parts.numpy()
    contrasts, weights = [], {True: [], False: []}
    for part in np.unique(parts):
        known, unknown = (parts == part) & seen, (parts == part) & ~seen
        for flag, rows in ((True, known), (False, unknown)):
            if rows.sum() > NEIGHBOURS:
                _, near = cKDTree(points[rows]).query(points[rows], NEIGHBOURS)
                weights[flag].append(lab[rows][near].std(1).mean(1))
        if known.sum() > NEIGHBOURS and unknown.any():
            _, near = cKDTree(points[known]).query(points[unknown], NEIGHBOURS)
            there = lab[known][near].mean(1)
            contrasts.append(np.linalg.norm(lab[unknown] - there, axis=1))
    if not contrasts or not weights[True] or not weights[False]:
        return {"unseen_contrast": float("nan"), "unseen_roughness": float("nan")}
    rough = {flag: float(np.concatenate(values).mean()) for flag, values in weights.items()}
    return {
        "unseen_contrast": float(np.median(np.concatenate(contrasts))),
        "unseen_roughness": rough[False] / max(rough[True], 1e-6),
    }


def front_leak(avatar: Avatar) -> float:
    """Correlate the front's detail with the mirrored back's, in [-1, 1].

    Both are seen from far away in the photo's pose, so that the outlines agree. The head is left
    out: hair is in front and behind. Folds of cloth do not agree; prints that leaked do.
    """
    cloud = avatar.pose(avatar.photo_params)
    headless = avatar.binding.bone_ids[:, 0] != JOINT_IDS["head"]
    front, mask = _far_view(cloud, behind=False)
    back, back_mask = _far_view(cloud, behind=True)
    body = replace(cloud, opacities=cloud.opacities * headless.to(cloud.opacities))
    _, below = _far_view(body, behind=False)
    both = (mask > OPAQUE) & (back_mask.flip(1) > OPAQUE) & (below > OPAQUE)
    inside = (erode(both.float(), DETAIL_PX) > 0.5).numpy()
    if inside.sum() < NEIGHBOURS**2:
        return float("nan")
    first, second = _detail(front, mask)[inside], _detail(back.flip(1), back_mask.flip(1))[inside]
    return float(np.corrcoef(first, second)[0, 1])


def _far_view(cloud: Gaussians, *, behind: bool) -> tuple[Image, Mask]:
    low, high = cloud.means.amin(0), cloud.means.amax(0)
    middle = (low + high) / 2
    eye = middle + torch.tensor([0.0, 0.0, -FAR if behind else FAR])
    tall = float((high - low)[1]) * 1.1
    width = round(PICTURE_PX * max(1.0, 1.1 * float((high - low)[0]) / tall))
    camera = Camera(
        width=width,
        height=PICTURE_PX,
        focal_px=PICTURE_PX / tall * FAR,
        center_px=(width / 2, PICTURE_PX / 2),
        T_camera_world=look_at(eye, middle),
    )
    drawn = render(cloud, camera, maps=False)
    return drawn.color, drawn.alpha


def _detail(image: Image, mask: Mask) -> Float[np.ndarray, "h w"]:
    """Give luminance less its blur, as far as it is covered."""
    cover = mask.numpy()
    luma = (image.mean(-1).numpy() / np.maximum(cover, 1e-3)) * (cover > 0.5)
    solid = (cover > 0.5).astype(np.float32)
    smooth = ndimage.gaussian_filter(luma, DETAIL_PX) / np.maximum(
        ndimage.gaussian_filter(solid, DETAIL_PX), 1e-3
    )
    return (luma - smooth) * solid


def hand_face_distance(avatar: Avatar) -> float:
    """Compare the median colours of both hands and of the face [Lab]; NaN without a face."""
    bone = avatar.binding.bone_ids[:, 0]
    hands = [
        i for i, name in enumerate(JOINT_NAMES) if i >= 25 or name in ("left_wrist", "right_wrist")
    ]
    on_hand = torch.isin(bone, torch.tensor(hands))
    on_face = torch.isin(bone, torch.tensor([JOINT_IDS["head"], JOINT_IDS["jaw"]]))
    on_face &= (avatar.parts == Part.SKIN) & avatar.seen
    if not on_face.any() or not on_hand.any():
        return float("nan")
    colors = avatar.canonical.colors.clamp(0, 1)
    hand, face = colors[on_hand].median(0).values, colors[on_face].median(0).values
    return float(lab_distance(hand, face))


def faults_in_test_poses(avatar: Avatar) -> dict[str, float]:
    """Count tears, holes and loose pieces over the four test poses, seen from four sides."""
    tree = cKDTree(avatar.canonical.means.numpy())
    spacing, near = tree.query(avatar.canonical.means.numpy(), 7)
    torn, open_px, body_px, loose_px, drawn_px = 0.0, 0, 0, 0, 0
    poses = all_test_poses()
    for params in poses.values():
        cloud = avatar.pose(params)
        means = cloud.means.numpy()
        apart = np.linalg.norm(means[near[:, 1:]] - means[:, None], axis=2)
        # Median: a neighbour across a closed armpit may go its own way.
        torn += float((np.median(apart / np.maximum(spacing[:, 1:], 1e-5), 1) > TORN).mean())
        skin = _naked(avatar, params)
        for yaw in VIEWS:
            camera = fit_camera(cloud.means, width=PICTURE_PX, height=PICTURE_PX, yaw=yaw)
            alpha = render(cloud, camera, maps=False).alpha
            naked = erode(_silhouette(avatar, skin, camera), 2.0) > 0.5
            open_px += int((naked & (alpha < OPAQUE)).sum())
            body_px += int(naked.sum())
            labels, count = ndimage.label((alpha > 0.5).numpy(), np.ones((3, 3)))
            sizes = np.bincount(labels.ravel())[1:] if count else np.zeros(1, int)
            loose_px += int(sizes.sum() - sizes.max(initial=0))
            drawn_px += int(sizes.sum())
    return {
        "stretched_share": torn / len(poses),
        "see_through_share": open_px / max(body_px, 1),
        "floating_share": loose_px / max(drawn_px, 1),
    }


def _naked(avatar: Avatar, params: BodyParams) -> Float[Tensor, "v 3"]:
    identity = avatar.identity
    with torch.no_grad():
        return avatar.body.forward(
            replace(params, betas=identity.betas),
            joint_offsets=identity.joint_offsets,
            vertex_offsets=identity.vertex_offsets,
        ).vertices


def _silhouette(avatar: Avatar, skin: Float[Tensor, "v 3"], camera: Camera) -> Mask:
    pixels, depth = camera.project(skin)
    faces, _, _ = rasterize_mesh(
        pixels, depth, avatar.body.faces, width=camera.width, height=camera.height
    )
    return (faces >= 0).float()
