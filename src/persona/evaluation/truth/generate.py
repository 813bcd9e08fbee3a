"""Make a generated person's photo and frames in a folder, whole or going on where it stopped."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.avatar.rates import joint_rates
from persona.body import BodyPose, SmplxBody, load_body
from persona.core.checks import check_range
from persona.core.errors import InputError
from persona.core.fingerprint import fingerprint
from persona.evaluation.truth.actor import Actor
from persona.evaluation.truth.motions import SIMULATED_FPS, compose
from persona.evaluation.truth.people import PEOPLE, TruePerson
from persona.evaluation.truth.scene import orbit, photo_camera_of, take, take_photo
from persona.geometry.cameras import Camera
from persona.images.files import write_png
from persona.kernels import ClothRules
from persona.records.body_params import BodyParams
from persona.records.frame_set import JointRates
from persona.records.motion import Motion
from persona.records.storage import load_record, save_record
from persona.synthesis.physics.collider import collider_of
from persona.synthesis.physics.settings import ClothSettings
from persona.synthesis.physics.solver import simulate

VERSION: Final = 1
"""Raised when the same settings give other pictures: older folders are made anew."""
CLOTH: Final = ClothSettings(
    rules=ClothRules(substeps=18, drag=1.2, friction=0.35, cloth_friction=0.4, bend_damping=0.002),
    hold=4.0,
    drape_seconds=2.5,
)
"""Finer steps, thinner air and rougher cloth than the product's own simulation."""
POSED_AT_ONCE: Final = 16
"""Poses of the body made at once."""
MANIFEST, CLOTH_FILE, PHOTO = "subject", "cloth", "photo.png"


@dataclass(frozen=True, kw_only=True)
class TruthSettings:
    """How much is made of every person.

    Raises:
        InputError: A number makes no sense.
    """

    frames: int = 200
    """Held-out frames of each person."""
    height: int = 448
    """Rows of a frame [px]; columns are three quarters."""
    photo_height: int = 1024
    """Rows of the photo [px]."""
    surface_every: int = 10
    """One frame in so many keeps its surface, albedo and normals."""

    def __post_init__(self) -> None:
        check_range("frames", torch.tensor(float(self.frames)), 2, 2000)
        for name in ("height", "photo_height"):
            check_range(name, torch.tensor(float(getattr(self, name))), 64, 4096)
        check_range("surface_every", torch.tensor(float(self.surface_every)), 1, 2000)


@dataclass(frozen=True, kw_only=True)
class TruthManifest:
    """What is known about a generated person, beside pictures and surfaces."""

    version: int
    """See `VERSION`."""
    person: str
    """A name in `PEOPLE`."""
    settings: TruthSettings
    """What was asked for."""
    photo_params: BodyParams
    """Pose in the photo; betas are the person's."""
    photo_camera: Camera
    """Who took the photo."""
    photo_joints: Float[Tensor, "55 3"]
    """Where the joints are in the photo [m]."""
    fps: float
    """Frames a second."""
    params: BodyParams
    """Pose of every frame."""
    rates: JointRates
    """How fast it changes."""
    joints: Float[Tensor, "t 55 3"]
    """Where the joints are [m]."""
    focal_px: Float[Tensor, " t"]
    """Of every frame's camera [px]; the axis meets the picture's middle."""
    T_camera_world: Float[Tensor, "t 4 4"]
    """Of every frame's camera."""


@dataclass(frozen=True, kw_only=True)
class WornCloth:
    """Simulated garments of all frames, one after the other."""

    key: str
    """What they were made of."""
    photo: Float[Tensor, "v 3"]
    """In the photo [m]."""
    frames: Float[Tensor, "t v 3"]
    """In every frame [m]."""


def generate(
    name: str,
    folder: Path,
    settings: TruthSettings,
    *,
    body: SmplxBody | None = None,
    tick: Callable[[int], None] = lambda _: None,
) -> None:
    """Make a person's data set; what is there already stays, and what is missing is added.

    The manifest is written last: a folder with one is whole. The same settings give the same
    pictures on one machine.

    Args:
        name: One of `PEOPLE`.
        folder: Where to; made if needed.
        settings: How much.
        body: The body to draw; None loads the open body.
        tick: Called with the number of frames that are there.

    Raises:
        InputError: There is no such person.
    """
    person = person_named(name)
    folder.mkdir(parents=True, exist_ok=True)
    actor = Actor.of(person, load_body() if body is None else body)
    motion, lead = compose(
        person,
        actor.body,
        actor.identity,
        actor.photo_params,
        seconds=2 * settings.frames / SIMULATED_FPS,
    )
    shown = torch.arange(lead, motion.frame_count, 2)[: settings.frames]
    cloth = _cloth(actor, motion, shown, folder)
    manifest = _manifest(actor, motion, shown, settings)
    _write_photo(actor, cloth, manifest, folder)
    for index in range(settings.frames):
        _write_frame(actor, cloth, manifest, folder, index)
        tick(index + 1)
    save_record(folder / MANIFEST, manifest)


def person_named(name: str) -> TruePerson:
    """Look up a person.

    Raises:
        InputError: There is no such person.
    """
    if name not in PEOPLE:
        raise InputError(
            f"there is no generated person called {name!r}",
            why=f"there are {', '.join(PEOPLE)}",
            fix="choose among these",
        )
    return PEOPLE[name]


def frame_file(folder: Path, index: int) -> Path:
    """Say where a frame's picture is; its alpha is the mask."""
    return folder / "frames" / f"{index:06d}.png"


def surface_stem(folder: Path, index: int) -> Path:
    """Say where a frame's surface is, without ending."""
    return folder / "surfaces" / f"{index:06d}"


def pose_at(body: SmplxBody, params: BodyParams) -> BodyPose:
    """Pose a generated person's body."""
    with torch.no_grad():
        return body.forward(params)


def _manifest(
    actor: Actor, motion: Motion, shown: Int[Tensor, " t"], settings: TruthSettings
) -> TruthManifest:
    rows = {f.name: getattr(motion.params, f.name)[shown] for f in fields(BodyParams)}
    params = BodyParams(**rows)
    joints = torch.stack([pose_at(actor.body, params.frame(k)).joints for k in range(len(shown))])
    fps = SIMULATED_FPS / 2
    cameras = orbit(
        joints[:, 0],
        distance=actor.person.distance,
        height=settings.height,
        fps=fps,
        seed=actor.person.look.seed,
    )
    return TruthManifest(
        version=VERSION,
        person=actor.person.name,
        settings=settings,
        photo_params=actor.photo_params,
        photo_camera=photo_camera_of(actor, height=settings.photo_height),
        photo_joints=pose_at(actor.body, actor.photo_params).joints,
        fps=fps,
        params=params,
        rates=joint_rates(motion).rows(shown),
        joints=joints,
        focal_px=torch.tensor([camera.focal_px for camera in cameras]),
        T_camera_world=torch.stack([camera.T_camera_world for camera in cameras]),
    )


def camera_of(manifest: TruthManifest, index: int) -> Camera:
    """Give the camera of a frame."""
    height = manifest.settings.height
    width = round(height * 0.75)
    return Camera(
        width=width,
        height=height,
        focal_px=float(manifest.focal_px[index]),
        center_px=(width / 2, height / 2),
        T_camera_world=manifest.T_camera_world[index],
    )


def _cloth(actor: Actor, motion: Motion, shown: Int[Tensor, " t"], folder: Path) -> WornCloth:
    """Simulate what the person wears, or read it where that was done."""
    key = fingerprint((VERSION, actor.person, CLOTH, len(shown)))
    path = folder / CLOTH_FILE
    if path.with_suffix(".json").is_file():
        found = load_record(path, WornCloth)
        if found.key == key:
            return found
    count = sum(garment.vertex_count for garment in actor.garments)
    made = WornCloth(key=key, photo=torch.zeros(count, 3), frames=torch.zeros(len(shown), count, 3))
    if actor.garments:
        vertices, bones = _moving(actor.body, motion)
        films = simulate(
            actor.garments,
            vertices,
            collider_of(actor.body),
            bones,
            fps=motion.fps,
            settings=CLOTH,
        )
        whole = torch.cat([film[shown] for film in films], 1)
        made = replace(made, photo=torch.cat([film[0] for film in films]), frames=whole)
    save_record(path, made)
    return made


def _moving(
    body: SmplxBody, motion: Motion
) -> tuple[Float[Tensor, "t v 3"], Float[Tensor, "t 55 4 4"]]:
    vertices, bones = [], []
    for ids in torch.arange(motion.frame_count).split(POSED_AT_ONCE):
        rows = {f.name: getattr(motion.params, f.name)[ids] for f in fields(BodyParams)}
        posed = pose_at(body, BodyParams(**rows))
        vertices.append(posed.vertices)
        bones.append(posed.T_posed_rest)
    return torch.cat(vertices), torch.cat(bones)


def _write_photo(actor: Actor, cloth: WornCloth, manifest: TruthManifest, folder: Path) -> None:
    path = folder / PHOTO
    if path.is_file():
        return
    posed = pose_at(actor.body, actor.photo_params)
    photo, seen = take_photo(actor, posed, cloth.photo.numpy(), manifest.photo_camera)
    write_png(folder / "photo_person.png", seen.color, alpha=seen.mask)
    write_png(folder / "photo_albedo.png", seen.albedo)
    write_png(path, photo)


def _write_frame(
    actor: Actor, cloth: WornCloth, manifest: TruthManifest, folder: Path, index: int
) -> None:
    path = frame_file(folder, index)
    if path.is_file():
        return
    posed = pose_at(actor.body, manifest.params.frame(index))
    worn = cloth.frames[index].numpy()
    seen = take(actor, posed, worn, camera_of(manifest, index))
    if index % manifest.settings.surface_every == 0:
        stem = surface_stem(folder, index)
        stem.parent.mkdir(exist_ok=True)
        save_record(stem, actor.surface(posed, worn))
        write_png(stem.with_name(f"{stem.name}_albedo.png"), seen.albedo)
        write_png(stem.with_name(f"{stem.name}_normal.png"), (seen.normal + 1) / 2)
    path.parent.mkdir(exist_ok=True)
    write_png(path, seen.color, alpha=seen.mask)
