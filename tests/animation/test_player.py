import pytest
import torch

from persona.animation.background import background_from
from persona.animation.clips import clip
from persona.animation.framing import VIEWS, follow_path, frame_motion, needed_width, outline
from persona.animation.performance import perform, photo_pose_on_floor, sole_thickness
from persona.animation.player import draw, draw_frame, play
from persona.animation.resampling import loop_for
from persona.animation.shadow import contact_shadow
from persona.core.errors import InputError, PhotoError
from persona.images.files import write_png
from persona.records.gaussians import Gaussians


@pytest.fixture(scope="module")
def walk(avatar):
    return perform(avatar, clip("walk", fps=10))


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("view", VIEWS)
def test_nobody_ever_leaves_the_picture(avatar, walk, view, still):
    cameras = frame_motion(avatar, walk, view, height=101, still=still)
    first = cameras[0].T_camera_world
    moves = any(not torch.equal(camera.T_camera_world, first) for camera in cameras)
    assert moves == (view in ("follow", "turntable") or not still)
    assert len(cameras) == walk.frame_count
    for camera, gaussians in zip(cameras, play(avatar, walk), strict=True):
        assert camera.width % 2 == camera.height % 2 == 0
        pixels, depth = camera.project(gaussians.means)
        assert float(depth.min()) > 0
        assert float(pixels.min()) >= 0
        assert float((pixels - torch.tensor([camera.width, camera.height])).max()) <= 0


def test_follow_keeps_the_person_in_the_middle_without_bobbing(avatar, walk):
    path = follow_path(walk)
    steps = torch.diff(path, dim=0)
    torch.testing.assert_close(steps, steps[:1].expand_as(steps), atol=1e-6, rtol=0)
    cameras = frame_motion(avatar, walk, "follow", height=100)
    across = [
        camera.project(g.means.mean(0))[0][0] / camera.width
        for camera, g in zip(cameras, play(avatar, walk), strict=True)
    ]
    assert float(max(across) - min(across)) < 0.12


def test_nobody_is_followed_on_the_spot():
    for name in ("idle", "wave", "dance", "turn"):
        assert float(follow_path(clip(name)).abs().max()) == 0.0


def test_follow_averages_a_way_that_is_no_loop(walk):
    part = loop_for(walk, seconds=2.0)
    path = follow_path(part)
    assert path.shape == (part.frame_count, 3)
    assert float(torch.diff(path, n=2, dim=0).norm(dim=1).max()) < 0.01


def test_turntable_goes_round_once(avatar):
    motion = perform(avatar, clip("idle", fps=2))
    positions = torch.stack(
        [c.position for c in frame_motion(avatar, motion, "turntable", height=64)]
    )
    angles = torch.atan2(positions[:, 0], positions[:, 2])
    turned = torch.remainder(torch.diff(angles), 2 * torch.pi)
    even = torch.full_like(turned, 2 * torch.pi / motion.frame_count)
    torch.testing.assert_close(turned, even, atol=0.02, rtol=0)  # it turns about the body's middle


def test_given_width_is_kept_and_unknown_views_are_refused(avatar, walk):
    assert frame_motion(avatar, walk, "front", height=100, width=300)[0].width == 300
    with pytest.raises(Exception, match="top"):
        frame_motion(avatar, walk, "top", height=100)  # type: ignore[arg-type]


def test_outline_and_width_follow_the_body(avatar, walk):
    points = outline(avatar, walk)
    assert points.shape[1:] == (26, 3)
    flat = points.flatten(0, 1)
    assert needed_width(flat, 200, yaw=0.0) < needed_width(flat, 200, yaw=1.57)  # it walks along z
    assert needed_width(flat, 200, yaw=None) >= needed_width(flat, 200, yaw=1.57)


def test_frames_have_the_background_or_alpha(avatar, walk):
    part = loop_for(walk, seconds=0.2)
    cameras = frame_motion(avatar, part, "front", height=64)
    opaque = list(draw(avatar, part, cameras, background=torch.tensor([0.0, 1.0, 0.0])))
    assert len(opaque) == part.frame_count
    torch.testing.assert_close(opaque[0][0, 0], torch.tensor([0.0, 1.0, 0.0]))
    clear = next(draw(avatar, part, cameras, background=None, shadow=False))
    assert clear.shape[-1] == 4
    assert float(clear[0, 0, 3]) == 0
    assert float(clear[..., 3].max()) > 0.9


def test_films_and_single_frames_are_drawn_alike(avatar, walk):
    cameras = frame_motion(avatar, walk, "follow", height=120)
    white = torch.ones(3)
    film = draw(avatar, walk, cameras, background=white)
    for index in range(2):
        frame = draw_frame(avatar.pose(walk.params.frame(index)), cameras[index], background=white)
        # Rounding may swap two neighbours in depth, or tip a pixel over a cut-off.
        assert float(((next(film) - frame).abs() > 1e-4).float().mean()) < 1e-3


def test_offsets_move_the_person_frame_by_frame(avatar, walk):
    cameras = frame_motion(avatar, walk, "follow", height=120)
    white = torch.ones(3)
    here = list(draw(avatar, walk, cameras, background=white))[:2]
    count = avatar.canonical.means.shape[0]
    lifted = torch.zeros(count, 3)
    lifted[:, 1] = 0.2
    moved = iter((None, lifted, *[None] * walk.frame_count))
    there = list(draw(avatar, walk, cameras, background=white, offsets=moved))[:2]
    assert torch.equal(here[0], there[0])
    assert float((here[1] - there[1]).abs().max()) > 0.1


def test_cameras_and_frames_must_agree(avatar, walk):
    with pytest.raises(InputError, match="0 cameras"):
        next(draw(avatar, walk, [], background=None))
    cameras = frame_motion(avatar, walk, "follow", height=60)
    with pytest.raises(InputError, match="offsets ended after 1 of"):
        list(draw(avatar, walk, cameras, background=None, offsets=[None]))


def test_shadow_is_dark_on_the_floor_below_and_nowhere_on_the_person(avatar):
    motion = perform(avatar, clip("idle", fps=1))
    camera = frame_motion(avatar, motion, "front", height=200, width=200)[0]
    gaussians = avatar.pose(motion.params.frame(0))
    white = torch.ones(3)
    with_shadow = draw_frame(gaussians, camera, background=white)
    without = draw_frame(gaussians, camera, background=white, shadow=False)
    alpha = draw_frame(gaussians, camera, background=None, shadow=False)[..., 3]
    darker = (without - with_shadow).mean(-1)
    assert float(darker.min()) >= -1e-6
    assert float(darker[alpha > 0.99].abs().max()) < 0.01
    rows = darker.amax(1)
    feet = int(rows.argmax())
    assert float(rows[feet]) > 0.15
    assert feet > 150
    assert float(rows[: int(0.7 * 200)].max()) < 0.02


def test_shadow_lies_flat(avatar):
    shadow = contact_shadow(avatar.pose(clip("idle").params.frame(0)).means)
    assert float(shadow.means[:, 1].abs().max()) == 0
    assert float(shadow.covariances[:, 3].max()) <= 1e-6
    assert float(shadow.opacities.max()) <= 1.0


def test_performance_keeps_identity_and_face(avatar):
    motion = perform(avatar, clip("wave", fps=5))
    assert bool((motion.params.expression == avatar.photo_params.expression).all())
    lowest = [float(g.means[:, 1].min()) for g in play(avatar, motion)]
    assert max(abs(height) for height in lowest) < 0.02


def test_thick_soles_lift_the_person(avatar, monkeypatch):
    assert sole_thickness(avatar) < 0.004
    pose = type(avatar).pose

    def with_platforms(self, params) -> Gaussians:
        gaussians = pose(self, params)
        lowered = gaussians.means.clone()
        lowered[lowered[:, 1] < lowered[:, 1].min() + 0.02, 1] -= 0.03
        return Gaussians(**{**vars(gaussians), "means": lowered})

    monkeypatch.setattr(type(avatar), "pose", with_platforms)
    assert sole_thickness(avatar) == pytest.approx(0.03, abs=0.005)


def test_the_photos_pose_is_put_on_the_floor(avatar):
    params = photo_pose_on_floor(avatar)
    means = avatar.pose(params).means
    assert abs(float(means[:, 1].min())) < 0.01
    assert float(means[:, [0, 2]].mean(0).norm()) < 0.1
    assert torch.equal(params.full_pose, avatar.photo_params.full_pose)


def test_backgrounds_as_they_are_typed(tmp_path):
    assert background_from("transparent", width=4, height=3) is None
    assert background_from("#ff0000", width=4, height=3).tolist() == [1.0, 0.0, 0.0]
    write_png(tmp_path / "wall.png", torch.full((300, 400, 3), 0.5))
    assert background_from(str(tmp_path / "wall.png"), width=8, height=6).shape == (6, 8, 3)
    with pytest.raises(InputError, match="no such file") as caught:
        background_from("absent.png", width=4, height=3)
    assert not isinstance(caught.value, PhotoError)
    with pytest.raises(InputError, match="not a colour"):
        background_from("whitish", width=4, height=3)
