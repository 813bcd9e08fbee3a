"""Draw every clip as two strips of frames of the plain body, from front left and from its left.

Run ``python tools/motion_sheet.py --out docs/images/motions.png`` after a change of a motion.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from persona.animation.clips import CLIPS, clip
from persona.animation.legs import rotation_y
from persona.body import SmplxBody, load_body
from persona.body.skeleton import JOINT_NAMES
from persona.geometry.meshes import vertex_normals
from persona.kernels.mesh import rasterize_mesh

FRAMES = 8
"""Pictures in a strip."""
VIEWS = (-35.0, -90.0)
"""Turn of the person under the camera [deg]: front left, left side."""
SPAN = 2.3
"""Height of a picture [m]."""
WIDTH_SHARE = 0.72
"""Width of a picture over its height."""
SHOWN = {"walk": 1 / 4, "run": 1 / 5}
"""Share of a clip that is shown: one stride of many."""
FLOOR = 0.07
"""Where the floor is, share of the height from below."""
OVERSAMPLE = 3
"""Rows drawn for each row of a picture."""
LIGHT = (0.35, 0.5, 0.8)
"""Towards the lamp."""
SKIN, BACK = (196.0, 170.0, 158.0), (250.0, 250.0, 250.0)
LEFT_TINT = (0.80, 0.92, 1.12)
"""The left side is a little blue, so that legs can be told apart."""


def picture(
    body: SmplxBody, vertices: torch.Tensor, left: torch.Tensor, yaw: float, height: int
) -> np.ndarray:
    """Draw the body over its floor, the middle of the hips in the middle."""
    points = vertices @ rotation_y(torch.deg2rad(torch.tensor(yaw))).T
    height *= OVERSAMPLE
    width, scale = round(WIDTH_SHARE * height / OVERSAMPLE) * OVERSAMPLE, height / SPAN
    x = (points[:, 0] - points[:, 0].mean()) * scale + width / 2
    y = height * (1 - FLOOR) - points[:, 1] * scale
    depths = 10.0 - (points[:, 2] - points[:, 2].mean())
    ids, shares, _ = rasterize_mesh(
        torch.stack([x, y], 1), depths, body.faces, width=width, height=height
    )
    normals = vertex_normals(points, body.faces)
    lamp = torch.nn.functional.normalize(torch.tensor(LIGHT), dim=0)
    shade = 0.35 + 0.75 * (normals @ lamp).clamp(min=0)
    tint = torch.where(left[:, None], torch.tensor(LEFT_TINT), torch.ones(3))
    colors = shade[:, None] * tint * torch.tensor(SKIN)
    corners = colors[body.faces[ids.clamp(min=0).long()]]
    drawn = (corners * shares[..., None]).sum(-2)
    back = torch.tensor(BACK).expand(height, width, 3).clone()
    back[round(height * (1 - FLOOR)) :] -= 25.0
    fine = torch.where((ids >= 0)[..., None], drawn, back).clamp(0, 255)
    blocks = fine.unfold(0, OVERSAMPLE, OVERSAMPLE).unfold(1, OVERSAMPLE, OVERSAMPLE)
    return blocks.mean((-1, -2)).byte().numpy()


def strip(body: SmplxBody, name: str, *, speed: float, height: int) -> np.ndarray:
    """Draw one clip: front left above, side below."""
    motion = clip(name, speed=speed)
    arms_and_legs = [j for j, n in enumerate(JOINT_NAMES) if n.startswith("left_")]
    left = body.weights[:, arms_and_legs].sum(1) > 0.5
    rows: list[list[np.ndarray]] = [[] for _ in VIEWS]
    shown = motion.frame_count * SHOWN.get(name, 1.0)
    for k in range(FRAMES):
        frame = motion.params.frame(round(k * shown / FRAMES))
        vertices = body.forward(frame).vertices
        for row, yaw in zip(rows, VIEWS, strict=True):
            row.append(picture(body, vertices, left, yaw, height))
    tile = Image.fromarray(np.concatenate([np.concatenate(row, 1) for row in rows]))
    ImageDraw.Draw(tile).text((4, 2), f"{name} x{speed:g}", fill=(60, 60, 60))
    return np.asarray(tile)


def main() -> None:
    """Parse the words of the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--motions", nargs="+", choices=list(CLIPS), default=list(CLIPS))
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--height", type=int, default=110, help="rows of one picture [px]")
    parser.add_argument("--columns", type=int, default=2, help="clips beside each other")
    args = parser.parse_args()
    body = load_body()
    strips = [strip(body, n, speed=args.speed, height=args.height) for n in args.motions]
    while len(strips) % args.columns:
        strips.append(np.full_like(strips[0], 255))
    rows = [
        np.concatenate(strips[k : k + args.columns], 1) for k in range(0, len(strips), args.columns)
    ]
    sheet = Image.fromarray(np.concatenate(rows))
    sheet.quantize(64).save(args.out, optimize=True)


if __name__ == "__main__":
    main()
