"""Readers of films: a turn, a clip, two cameras, all filmed of a body that is known."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from persona.body import load_body
from persona.core.errors import InputError, PhotoError
from persona.evaluation.readers import tracked, turn
from persona.evaluation.readers.multiview import Lens, multiview_subject
from persona.evaluation.readers.qualisys import CalibratedCamera, read_qualisys
from persona.evaluation.readers.turn import bone_length, plain_mask, turned, turntable_subject
from persona.evaluation.readers.video import evenly, video_subject
from persona.evaluation.spec import SubjectSpec
from persona.geometry.cameras import Camera, look_at, photo_camera
from persona.images.files import write_png
from persona.images.masks import overlap
from persona.records.body_fit import Identity
from persona.records.body_params import BodyParams, rest_params
from persona.records.motion import Motion
from persona.rendering.body_maps import draw_body_maps
from persona.tracking.sightings import Sightings

WIDTH, HEIGHT, FOCAL = 96, 128, 150.0
PAINT, WALL = 0.2, 0.9
VIEWS, FRONT = 8, 2


@pytest.fixture(scope="module")
def body():
    return load_body()


def standing():
    bent = torch.zeros(21, 3)
    bent[15, 2], bent[16, 2] = -0.9, 0.7
    bent[0, 0] = -0.5
    return replace(rest_params(), body_pose=bent, transl=torch.tensor([0.1, 0.3, -3.2]))


def filmed(body, params, camera):
    with torch.no_grad():
        vertices = body.forward(params).vertices
    mask = draw_body_maps(vertices, body.faces, camera).mask.float()
    return (mask * PAINT + (1 - mask) * WALL)[..., None].expand(-1, -1, 3).contiguous()


def mask_of(picture):
    return (picture[..., 0] < (PAINT + WALL) / 2).float()


def drawn_again(body, frame):
    with torch.no_grad():
        vertices = body.forward(frame.params).vertices
    return draw_body_maps(vertices, body.faces, frame.camera).mask.float()


@dataclass(frozen=True)
class KnownFit:
    """Stands in for the fit: what is tested is what readers make of it."""

    body: object
    params: object = None

    def __call__(self, observation, *, focal_px=None):
        identity = Identity(
            betas=torch.zeros(10),
            joint_offsets=torch.zeros(55, 3),
            vertex_offsets=torch.zeros(self.body.vertex_count, 3),
        )
        return SimpleNamespace(
            params=standing(), identity=identity, focal_px=FOCAL, image_size=(WIDTH, HEIGHT)
        )


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_turn_is_followed_whichever_way_and_about_whichever_axis(
    body, tmp_path, monkeypatch, sign
):
    monkeypatch.setattr(turn, "FitBody", KnownFit)
    monkeypatch.setattr(turn, "perceive", lambda photo: SimpleNamespace(mask=photo.alpha))
    axis = torch.tensor([0.16, 0.0, -3.05])
    camera = photo_camera(WIDTH, HEIGHT, FOCAL)
    for k in range(VIEWS):
        yaw = sign * 360 / VIEWS * (k - FRONT)
        write_png(tmp_path / f"{k}.png", filmed(body, standing(), turned(camera, axis, yaw)))
    spec = SubjectSpec(name="ada", kind="turntable", path="x", front=FRONT)
    subject = turntable_subject(tmp_path, spec)
    assert subject.frame_count == VIEWS - 1
    assert subject.still.name == "+0 deg"
    frames = list(subject.frames())
    assert [frame.index for frame in frames] == list(range(VIEWS - 1))
    for frame in frames:
        assert overlap(drawn_again(body, frame), frame.mask) > 0.93, frame.name
    with pytest.raises(InputError, match="counted from 0"):
        turntable_subject(tmp_path, replace(spec, front=VIEWS))


def test_too_few_views_are_no_turn(tmp_path):
    for k in range(2):
        write_png(tmp_path / f"{k}.png", torch.full((HEIGHT, WIDTH, 3), WALL))
    with pytest.raises(InputError, match="has 2 views"):
        turntable_subject(tmp_path, SubjectSpec(name="a", kind="turntable", path="x"))


def test_bones_are_as_long_in_every_pose(body):
    lengths = []
    for params in (standing(), rest_params()):
        with torch.no_grad():
            lengths.append(bone_length(body.forward(params).joints))
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-4)
    assert 3 < lengths[0] < 6


def test_a_plain_background_is_cut_away_and_holes_are_filled():
    picture = torch.full((40, 30, 3), 0.95)
    picture[10:30, 8:22] = 0.3
    picture[15:20, 12:16] = 0.95
    mask = plain_mask(picture)
    assert mask[12:28, 10:20].all()
    # Corners are rounded by a pixel.
    assert float(mask.sum()) == 20 * 14 - 4


COUNT = 9


def swaying():
    params = [
        replace(standing(), transl=standing().transl + torch.tensor([0.03 * k, 0.0, 0.0]))
        for k in range(COUNT)
    ]
    names = BodyParams.__dataclass_fields__
    rows = {name: torch.stack([getattr(p, name) for p in params]) for name in names}
    return Motion(params=BodyParams(**rows), fps=30.0, name="clip")


def nothing_seen():
    """Sightings of a clip in which the detector sees nothing."""
    here, no = torch.zeros(COUNT), torch.zeros(COUNT, dtype=torch.bool)
    return Sightings(
        times=here.double(),
        shots=here.long(),
        seen=no,
        body=torch.zeros(COUNT, 33, 2),
        visibility=torch.zeros(COUNT, 33),
        world=torch.zeros(COUNT, 33, 3),
        left_seen=no,
        right_seen=no,
        left_hand=torch.zeros(COUNT, 21, 3),
        right_hand=torch.zeros(COUNT, 21, 3),
        face_seen=no,
        face=torch.zeros(COUNT, 478, 3),
        middles=torch.zeros(COUNT, 1, 2),
        widths=torch.zeros(COUNT, 1),
        camera_turn=torch.eye(3).expand(COUNT, 3, 3).contiguous().double(),
        size=(WIDTH, HEIGHT),
    )


@pytest.fixture
def known_track(body, monkeypatch):
    """Stands in for tracking, cutting out and judging photos; counts what is asked."""
    asked = {"watch": 0, "track": [], "cut": 0}
    seen = torch.ones(COUNT, dtype=torch.bool)
    seen[4] = False

    def watched(frames, *, person, name, focal_px):
        asked["watch"] += 1
        assert len(list(frames)) == COUNT
        return nothing_seen(), None

    def track(sightings, name, *, identity, focal_px):
        asked["track"].append(identity)
        assert sightings.count == COUNT
        camera = photo_camera(WIDTH, HEIGHT, FOCAL)
        return tracked.KeptTrack(
            own=swaying(),
            identity=identity or KnownFit(body)(None).identity,
            T_camera_world=camera.T_camera_world.expand(COUNT, 4, 4).contiguous(),
            seen=seen,
            start=0.0,
            focal_px=FOCAL,
            size=(WIDTH, HEIGHT),
        )

    def cut(picture, detectors, *, name):
        asked["cut"] += 1
        return None if name.endswith("frame 7") else mask_of(picture)

    def look(photo, *, person=None):
        if asked.setdefault("photos", 0) == 0:
            asked["photos"] += 1
            raise PhotoError("feet are missing", why="a test", fix="none")

    monkeypatch.setattr(tracked, "watch", watched)
    monkeypatch.setattr(tracked, "_tracked", track)
    monkeypatch.setattr(tracked, "cut_person", cut)
    monkeypatch.setattr(tracked, "perceive", look)
    monkeypatch.setattr(tracked, "FitBody", KnownFit)
    monkeypatch.setattr("persona.evaluation.readers.multiview.cut_person", cut)
    return asked


def write_clip(folder, body, camera):
    folder.mkdir()
    motion = swaying()
    for k in range(COUNT):
        write_png(folder / f"{k:03d}.png", filmed(body, motion.params.frame(k), camera))
    return folder


def test_a_clip_is_judged_in_all_frames_but_the_photo_and_those_nobody_is_found_in(
    body, tmp_path, known_track
):
    clip = write_clip(tmp_path / "clip", body, photo_camera(WIDTH, HEIGHT, FOCAL))
    spec = SubjectSpec(name="ada", kind="video", path="clip")
    subject = video_subject(clip, spec, cache=tmp_path / "cache")
    names = [frame.name for frame in subject.frames()]
    # 0 is refused as photo, 1 is the photo, nobody is seen in 4, 7 cannot be cut out.
    assert [int(name) for name in names] == [0, 2, 3, 5, 6, 8]
    assert subject.still.name == "000001"
    for frame in [*subject.frames(), subject.still]:
        assert overlap(drawn_again(body, frame), frame.mask) > 0.97
        assert frame.rates is not None
    assert [frame.index for frame in subject.frames(3)] == [3, 4, 5]
    cuts = known_track["cut"]
    again = video_subject(clip, replace(spec, front=1), cache=tmp_path / "cache")
    assert again.frame_count == subject.frame_count
    assert known_track["watch"] == 1, "looked at once"
    own, photos = known_track["track"]
    assert own is None
    assert torch.equal(photos.betas, KnownFit(body)(None).identity.betas), "on the photo's bones"
    assert known_track["cut"] == cuts, "cut out once"
    few = video_subject(clip, replace(spec, front=1, frames=3), cache=tmp_path / "cache")
    assert few.frame_count <= 3
    assert few.fps is None, "what is left away in between makes no film"


def test_a_clip_without_a_good_photo_says_why(body, tmp_path, known_track, monkeypatch):
    clip = write_clip(tmp_path / "clip", body, photo_camera(WIDTH, HEIGHT, FOCAL))

    def never(photo, *, person=None):
        raise PhotoError("feet are missing", why="a test", fix="none")

    monkeypatch.setattr(tracked, "perceive", never)
    with pytest.raises(PhotoError, match="can be a photo: feet are missing"):
        video_subject(clip, SubjectSpec(name="a", kind="video", path="x"), cache=tmp_path / "cache")


LARGER = 1.15
"""Metres of the laboratory in a tracked metre."""


def qca(cameras):
    """Write cameras as the maker's program does."""
    texts = []
    for name, camera in cameras.items():
        T = camera.T_camera_world.double().numpy()
        turn = np.diag([1.0, -1.0, -1.0]) @ T[:3, :3]
        place = -T[:3, :3].T @ T[:3, 3] * LARGER * 1000
        cells = " ".join(f'r{r + 1}{c + 1}="{turn[r, c]}"' for r in range(3) for c in range(3))
        spot = " ".join(f'{a}="{v}"' for a, v in zip("xyz", place, strict=True))
        texts.append(
            f'<camera serial="{name}"><fov_video left="0" top="0" right="{WIDTH - 1}" '
            f'bottom="{HEIGHT - 1}"/><transform {cells} {spot}/><intrinsic '
            f'centerPointU="{64 * (WIDTH / 2 - 0.5)}" centerPointV="{64 * (HEIGHT / 2 - 0.5)}" '
            f'focalLengthU="{64 * FOCAL}" focalLengthV="{64 * FOCAL}" radialDistortion1="0" '
            'radialDistortion2="0" radialDistortion3="0" tangentalDistortion1="0" '
            'tangentalDistortion2="0"/></camera>'
        )
    return f"<calibration><cameras>{''.join(texts)}</cameras></calibration>"


def second_camera(target):
    eye = target + torch.tensor([2.4, 0.6, 2.0])
    return Camera(
        width=WIDTH,
        height=HEIGHT,
        focal_px=FOCAL,
        center_px=(WIDTH / 2, HEIGHT / 2),
        T_camera_world=look_at(eye, target),
    )


def test_two_cameras_meet_at_the_size_that_one_alone_cannot_know(body, tmp_path, known_track):
    first = photo_camera(WIDTH, HEIGHT, FOCAL)
    second = second_camera(torch.tensor([0.2, 0.1, -3.2]))
    ours = write_clip(tmp_path / "ours", body, first)
    other = write_clip(tmp_path / "other", body, second)
    file = tmp_path / "c.qca.txt"
    elsewhere = second_camera(torch.tensor([6.0, 0.1, 3.0]))
    file.write_text(qca({"a": first, "b": second, "c": elsewhere}))
    spec = SubjectSpec(name="ada", kind="multiview", path="x", cameras=("a", "b"), front=1)
    known_track["photos"] = 1
    subject = multiview_subject(ours, other, file, spec, cache=tmp_path / "cache")
    assert [int(frame.name) for frame in subject.frames()] == [0, 2, 3, 5, 6, 8]
    for frame in subject.frames():
        assert overlap(drawn_again(body, frame), frame.mask) > 0.9
    assert [frame.index for frame in subject.frames(4)] == [4, 5]
    with pytest.raises(InputError, match="has a, b, c"):
        multiview_subject(
            ours, other, file, replace(spec, cameras=("a", "z")), cache=tmp_path / "cache"
        )
    with pytest.raises(InputError, match="do not fit together"):
        multiview_subject(
            ours, other, file, replace(spec, cameras=("a", "c")), cache=tmp_path / "cache"
        )


def test_a_bent_lens_is_straightened_and_other_sizes_are_refused(tmp_path):
    file = tmp_path / "c.qca.txt"
    file.write_text(qca({"a": photo_camera(WIDTH, HEIGHT, FOCAL)}))
    plain = read_qualisys(file)["a"]
    assert isinstance(plain, CalibratedCamera)
    picture = (np.random.default_rng(0).random((HEIGHT, WIDTH, 3)) * 255).astype(np.uint8)
    assert np.abs(Lens.of(plain, plain.size)(picture).astype(int) - picture)[2:-2, 2:-2].max() <= 1
    bent = replace(plain, distortion=np.array([-0.2, 0.0, 0.0, 0.0, 0.0]))
    moved = Lens.of(bent, plain.size)(picture)
    assert np.abs(moved.astype(int) - picture)[:20].mean() > 5
    # Eight columns that only filled a block were cut off: the rest stays where it is, but centred.
    narrow = Lens.of(plain, (WIDTH - 8, HEIGHT))
    assert narrow(picture[:, :-8]).shape == (HEIGHT, WIDTH - 8, 3)
    assert np.abs(narrow(picture[:, :-8])[4:-4, 4:-8].astype(int) - picture[4:-4, 8:-12]).max() <= 1
    with pytest.raises(InputError, match="calibrated at 96 x 128"):
        Lens.of(plain, (WIDTH, 50))


def test_frames_are_chosen_evenly():
    assert evenly(list(range(10)), None) == list(range(10))
    assert evenly(list(range(10)), 4) == [0, 3, 6, 9]
    assert evenly([5], 3) == [5]
