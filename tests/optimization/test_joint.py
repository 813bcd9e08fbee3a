"""Joint training: frames teach movement and what is hidden, the photo stays, nothing is lost."""

import math
from dataclasses import replace

import pytest
import torch

from persona.avatar.cloth import predict_clip
from persona.avatar.nodes import place_nodes
from persona.avatar.slopes import slopes_of
from persona.body.skeleton import JOINT_IDS
from persona.core.errors import FileFormatError, InputError, OptimizationError
from persona.images.similarity import psnr
from persona.optimization import joint
from persona.optimization.deformer import DeformerConfig
from persona.optimization.joint import JointConfig, train_jointly
from persona.optimization.joint_frames import gather_frames, main_joints
from persona.optimization.joint_model import Freedom
from persona.optimization.objective import Term
from persona.optimization.offsets import OffsetsConfig
from persona.optimization.ownership import photo_owns
from persona.optimization.visibility import sample_image
from persona.records.frame_labels import EnlargedFace
from persona.records.frame_set import FrameSet
from tests.optimization.joint_truth import (
    around,
    clip_of,
    moving,
    one_frame,
    patterned,
    photo_of,
    recolored,
    shown,
)

NETWORK = OffsetsConfig(
    network=DeformerConfig(
        nodes=80, channels=4, resolution=16, width=32, depth=2, feels_motion=False
    ),
    base_rank=0,
    baked_rank=24,
    frames=8,
    nodes=60,
)
SMALL_PX = 64


@pytest.fixture(scope="module")
def person():
    return patterned()


# Balanced sampling: the photo's look is kept against frames that drift.


@pytest.fixture(scope="module")
def drifting(person):
    """A photo with finer detail than the Gaussians can draw, and frames of a drifting generator.

    They turn the hue of everything, the face's too, and shift the pattern by 7 cm.
    """
    fine = patterned(20_000)
    grain = 0.12 * torch.sin(fine.canonical.means * 120).prod(1, keepdim=True).sign()
    photo = photo_of(recolored(fine, (fine.canonical.colors + grain).clamp(0, 1)))
    colors = person.canonical.colors
    means = person.canonical.means
    shifted = torch.sin(means * torch.tensor([25.0, 22.0, 25.0]) + torch.tensor([1.6, 2.6, 3.6]))
    skin = (person.parts == 1)[:, None]
    plain = torch.where(skin, torch.tensor([0.6, 0.5, 0.8]), torch.tensor([0.3, 0.6, 0.2]))
    other = recolored(person, (plain + 0.18 * shifted).clamp(0.05, 0.95))
    motion = moving(person, 8.0, fps=3, seed=3)
    pictures = [
        shown(other, motion.params.frame(f), around(0.5 * (f % 5 - 2)), frame=f)
        for f in range(motion.frame_count)
    ]
    dull = recolored(person, 0.6 * colors + 0.2)
    return dull, photo, clip_of(person, motion, pictures)


def photo_psnr(avatar, photo) -> float:
    """PSNR inside the person's mask, less two pixels."""
    picture = photo.pictures[0]
    inner = torch.nn.functional.avg_pool2d(picture.mask[None, None], 5, 1, 2)[0, 0] > 0.98
    drawn = shown(avatar, avatar.photo_params, picture.camera)
    return float(psnr(drawn.image, picture.image, mask=inner))


@pytest.mark.slow
def test_the_photo_keeps_its_look_with_balance_and_loses_it_without(drifting):
    dull, photo, clip = drifting

    def learned(avatar, *clips, **settings):
        config = JointConfig(steps=150, offsets=False, **settings)
        return train_jointly(avatar, FrameSet(clips=clips), config).avatar

    alone = learned(dull, photo)
    kept = photo_psnr(alone, photo)
    assert kept > photo_psnr(dull, photo) + 3
    # Where frames may recolour what the photo shows, as in the paper, balance is what keeps it.
    paper = {"freedom": Freedom(generated_recolor=True)}
    assert photo_psnr(learned(alone, photo, clip, **paper), photo) > kept - 1
    assert photo_psnr(learned(alone, photo, clip, photo_share=None, **paper), photo) < kept - 3
    # Where they may not, it is kept anyway.
    for share in (0.5, None):
        assert photo_psnr(learned(alone, photo, clip, photo_share=share), photo) > kept - 1


# Seams: no ghost of the arm on the belly.


@pytest.mark.slow
def test_seams_halve_the_ghost_of_an_arm_before_the_trunk(person):
    joints = main_joints(person)
    forearm = [JOINT_IDS["left_elbow"], JOINT_IDS["left_wrist"], *range(25, 40)]
    arm = torch.isin(joints, torch.tensor(forearm))
    truth = torch.where(arm[:, None], torch.tensor([0.9, 0.85, 0.2]), person.canonical.colors)
    pose = person.photo_params.full_pose.clone()
    pose[JOINT_IDS["left_shoulder"]] = torch.tensor([0.4, -0.6, -0.8])
    pose[JOINT_IDS["left_elbow"]] = torch.tensor([0.0, -1.5, 0.0])
    real = recolored(replace(person, photo_params=person.photo_params.with_full_pose(pose)), truth)
    camera = around(0.0, height=160)
    photo = photo_of(real, camera=camera)
    # The fit is seven degrees off, and what it believes to see takes the photo's colours.
    pose = pose.clone()
    pose[JOINT_IDS["left_shoulder"], 2] -= 0.12
    fitted = replace(real, photo_params=real.photo_params.with_full_pose(pose))
    photo = replace(photo, motion=one_frame(fitted.photo_params))
    (frame,) = gather_frames(fitted, FrameSet(clips=(photo,)), with_seams=True, threads=1)
    owned = photo_owns(fitted, frame, threads=1)
    pixels, _ = camera.project(fitted.pose(fitted.photo_params).means)
    painted = sample_image(photo.pictures[0].image, pixels)
    fitted = recolored(fitted, torch.where(owned[:, None], painted, truth))
    # Frames are cut to the person: so are their seams.
    pixels, _ = frame.picture.camera.project(fitted.pose(fitted.photo_params).means)
    height, width = frame.seam.shape
    column, row = pixels[:, 0].long().clamp(0, width - 1), pixels[:, 1].long().clamp(0, height - 1)
    trunk = torch.isin(joints, torch.tensor([JOINT_IDS[n] for n in ("pelvis", "spine1", "spine2")]))
    band = owned & trunk & frame.seam[row, column]
    assert int(band.sum()) > 50
    motion = moving(real, 8.0, fps=3, seed=5)
    pictures = [
        shown(real, motion.params.frame(f), around(0.4 * (f % 5 - 2), height=160), frame=f)
        for f in range(motion.frame_count)
    ]
    frames = FrameSet(clips=(photo, clip_of(real, motion, pictures)))

    def error(**settings) -> float:
        config = JointConfig(steps=300, offsets=False, **settings)
        made = train_jointly(fitted, frames, config).avatar
        return float((made.canonical.colors - truth)[band].abs().mean())

    assert error(seams=True) < 0.5 * error(seams=False)
    paper = {"freedom": Freedom(generated_recolor=True)}
    assert error(seams=True, **paper) < 0.5 * error(seams=False, **paper)


# Pose offsets learned from pictures alone.


@pytest.fixture(scope="module")
def nodes(person):
    legs = person.canonical.means[:, 1] < -0.3
    return place_nodes(person.canonical.means, person.binding, legs, count=80)


def planted(person, nodes, motion) -> torch.Tensor:
    """Trouser legs that go back and outwards as their knee bends."""
    first = person.photo_params.full_pose
    offsets = torch.zeros(motion.frame_count, nodes.count, 3)
    for knee, leg, outward in ((4, (1, 4, 7, 10), 0.03), (5, (2, 5, 8, 11), -0.03)):
        bend = motion.params.full_pose[:, knee, 0] - first[knee, 0]
        mine = torch.isin(nodes.joints, torch.tensor(leg))
        offsets[:, mine, 2] = -0.05 * bend[:, None]
        offsets[:, mine, 0] = outward * bend[:, None]
    return offsets


def held_out_ratio(cloth, clip) -> float:
    """Vertex error with pose offsets over the error without."""
    said = predict_clip(cloth.deformation, clip)
    return float((said - clip.offsets).norm(dim=-1).mean() / clip.offsets.norm(dim=-1).mean())


@pytest.mark.slow
def test_offsets_seen_in_pictures_alone_are_found_in_poses_not_seen(person, nodes):
    motion = moving(person, 30.0, fps=3, seed=5)
    offsets, turning = planted(person, nodes, motion), slopes_of(nodes)
    pictures = [
        shown(
            person,
            motion.params.frame(f),
            around(1.3 * ((7 * f) % 5 - 2)),
            frame=f,
            offsets=turning.carry(offsets[f]),
        )
        for f in range(motion.frame_count)
    ]
    frames = FrameSet(clips=(photo_of(person), clip_of(person, motion, pictures)), nodes=nodes)
    config = JointConfig(steps=600, network=NETWORK, network_rate=1e-2)
    made = train_jointly(person, frames, config).avatar
    unseen = moving(person, 8.0, fps=3, seed=11)
    judge = clip_of(person, unseen, (), offsets=planted(person, nodes, unseen))
    assert held_out_ratio(made.cloth, judge) < 0.5
    photo = person.photo_params.full_pose[None]
    assert float(made.cloth.deformation.offsets(photo, None).abs().max()) < 1e-6


def test_offsets_that_are_known_teach_the_same_network(person, nodes):
    motion = moving(person, 10.0, fps=6, seed=5)
    known = clip_of(person, motion, (), offsets=planted(person, nodes, motion))
    frames = FrameSet(clips=(photo_of(person), known), nodes=nodes)
    config = JointConfig(steps=600, network=NETWORK, network_rate=1e-2, photo_share=1.0)
    made = train_jointly(person, frames, config).avatar
    unseen = moving(person, 5.0, fps=3, seed=11)
    judge = clip_of(person, unseen, (), offsets=planted(person, nodes, unseen))
    assert held_out_ratio(made.cloth, judge) < 0.5


# Small sets: how it is done.


@pytest.fixture(scope="module")
def small(person):
    """Three frames of 64 px."""
    motion = moving(person, 1.0, fps=3, seed=5)
    pictures = [
        shown(person, motion.params.frame(f), around(0.4 * f, height=SMALL_PX), frame=f)
        for f in range(3)
    ]
    photo = photo_of(person, camera=around(0.0, height=SMALL_PX))
    return FrameSet(clips=(photo, clip_of(person, motion, pictures)))


def with_pictures(frames, pictures):
    photo, clip = frames.clips
    return replace(frames, clips=(photo, replace(clip, pictures=tuple(pictures))))


QUICK = JointConfig(steps=8, network=NETWORK, pose_rate=1e-3, save_every=3)


def test_what_the_photo_shows_is_colored_by_the_photo_alone(person, small):
    dull = recolored(person, 0.6 * person.canonical.colors + 0.2)
    photo = gather_frames(dull, small, with_seams=False, threads=1)[0]
    owned = photo_owns(dull, photo, threads=1)
    assert 0.3 < float(owned.float().mean()) < 0.7
    only_frames = replace(QUICK, photo_share=1e-9, undo_drift=False)
    made = train_jointly(dull, small, only_frames).avatar
    changed = (made.canonical.colors != dull.canonical.colors).any(1)
    assert not bool(changed[owned].any())
    assert float(changed[~owned].float().mean()) > 0.5
    only_photo = replace(QUICK, photo_share=1.0, undo_drift=False, fill=False)
    made = train_jointly(dull, small, only_photo).avatar
    changed = (made.canonical.colors != dull.canonical.colors).any(1)
    assert not bool(changed[~owned].any())
    assert not bool((made.canonical.means != dull.canonical.means)[~owned].any())
    assert float(changed[owned].float().mean()) > 0.5


def test_what_only_frames_show_is_brought_to_the_hue_of_the_photo(person, small):
    """A generator that darkens everything by a tenth does not darken the back."""
    _, clip = small.clips
    darker = [
        replace(p, image_8=(p.image_8.float() - 25).clamp(0, 255).byte()) for p in clip.pictures
    ]
    config = replace(QUICK, steps=60, offsets=False, pose_rate=0.0)
    frames = with_pictures(small, darker)
    photo = gather_frames(person, small, with_seams=False, threads=1)[0]
    hidden = ~photo_owns(person, photo, threads=1)

    def darkness(**settings):
        made = train_jointly(person, frames, replace(config, **settings)).avatar
        return float((person.canonical.colors - made.canonical.colors)[hidden].mean())

    assert darkness(undo_drift=False) > 0.03
    assert abs(darkness()) < 0.5 * darkness(undo_drift=False)


def test_missing_channels_mixed_sizes_and_trust_are_said_not_crashed_on(person, small):
    _, clip = small.clips
    motion = clip.motion
    poor = [
        replace(clip.pictures[0], depth_m=None, normal_8=None, parts=None),
        shown(person, motion.params.frame(1), around(0.3, height=40), frame=1),
        replace(clip.pictures[2], trust=0.0),
    ]
    made = train_jointly(person, with_pictures(small, poor), QUICK)
    assert "1 of 2 generated pictures came without depth" in " ".join(made.notes)
    assert "1 of 2 generated pictures came without normal" in " ".join(made.notes)
    assert "1 of 2 generated pictures came without parts" in " ".join(made.notes)
    assert any("LPIPS" in note for note in made.notes)
    assert made.avatar.cloth is not None


def test_a_camera_that_looks_past_the_avatar_is_refused_before_training(person, small):
    picture = small.clips[1].pictures[0]
    turned = picture.camera.T_camera_world.clone()
    turned[:3] = torch.diag(torch.tensor([-1.0, 1.0, -1.0])) @ turned[:3]
    wrong = replace(picture, camera=replace(picture.camera, T_camera_world=turned))
    with pytest.raises(InputError, match=r"not in the picture of frame 0 by"):
        train_jointly(person, with_pictures(small, [wrong]), QUICK)


def test_a_picture_smaller_than_a_window_is_compared_without_ssim(person, small):
    tiny = shown(person, person.photo_params, around(0.0, height=10))
    made = train_jointly(person, with_pictures(small, [tiny]), QUICK)
    assert any("without SSIM" in note for note in made.notes)


def test_the_photo_alone_is_enough_and_frames_alone_are_refused(person, small):
    photo, clip = small.clips
    made = train_jointly(person, FrameSet(clips=(photo,)), QUICK)
    assert made.avatar.cloth is None
    assert any("only the photo" in note for note in made.notes)
    with pytest.raises(InputError, match="is the photo"):
        train_jointly(person, FrameSet(clips=(clip,)), QUICK)


def test_nodes_of_somebody_else_are_refused(person, small, nodes):
    foreign = replace(nodes, holder_ids=nodes.holder_ids[:-1], shares=nodes.shares[:-1])
    with pytest.raises(InputError, match="the avatar has 3000"):
        train_jointly(person, replace(small, nodes=foreign), QUICK)


def test_nonsense_is_named_by_term_and_frame(person, small, monkeypatch):
    bad = Term(
        name="culprit",
        weight=1.0,
        unit="-",
        because="it breaks",
        residual=lambda s: s.rough.shift.sum() * float("nan"),
    )
    monkeypatch.setattr(joint, "GENERATED_TERMS", (*joint.GENERATED_TERMS, bad))
    with pytest.raises(
        OptimizationError, match=r"culprit became nan at step \d, on frame \d by pl"
    ):
        train_jointly(person, small, QUICK)


def test_a_gradient_that_is_no_number_is_named(person, small, monkeypatch):
    bad = Term(
        name="root",
        weight=1.0,
        unit="-",
        because="its slope at zero is none",
        residual=lambda s: (s.rough.shift * 0).norm(dim=1).mul(0).sqrt().sum(),
    )
    monkeypatch.setattr(joint, "PHOTO_FRAME_TERMS", (*joint.PHOTO_FRAME_TERMS, bad))
    with pytest.raises(OptimizationError, match=r"gradient of shift .* at step \d, on the photo"):
        train_jointly(person, small, QUICK)


def same_bits(one, other) -> bool:
    a, b = one.avatar, other.avatar
    pairs = [(getattr(a.canonical, n), getattr(b.canonical, n)) for n in ("means", "colors")]
    pairs += [(a.canonical.log_scales, b.canonical.log_scales)]
    pairs += [(a.cloth.deformation.node_share, b.cloth.deformation.node_share)]
    pairs += [(a.cloth.deformation.pose_weight, b.cloth.deformation.pose_weight)]
    return all(torch.equal(x, y) for x, y in pairs) and one.history == other.history


def test_an_interrupted_training_goes_on_to_the_same_bits(person, small, tmp_path):
    whole = train_jointly(person, small, QUICK)

    def interrupt(done: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    folder = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_jointly(person, small, QUICK, checkpoint=folder, tick=interrupt)
    steps: list[int] = []
    resumed = train_jointly(person, small, QUICK, checkpoint=folder, tick=steps.append)
    assert steps == [4, 5, 6, 7, 8]
    assert same_bits(resumed, whole)
    assert not same_bits(train_jointly(person, small, QUICK, seed=1), whole)
    # What is done is not done again.
    assert same_bits(
        train_jointly(person, small, QUICK, checkpoint=folder, tick=steps.append), whole
    )
    assert steps[-1] == 8
    assert len(steps) == 5


def test_a_checkpoint_of_others_or_a_damaged_one_is_refused(person, small, tmp_path):
    folder = tmp_path / "checkpoint"
    train_jointly(person, small, QUICK, checkpoint=folder)
    with pytest.raises(FileFormatError, match="another avatar, other frames or settings"):
        train_jointly(person, small, replace(QUICK, steps=9), checkpoint=folder)
    file = folder / "checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(FileFormatError):
        train_jointly(person, small, QUICK, checkpoint=folder)


def test_a_pose_that_is_a_little_off_is_refined(person, small):
    """A frame whose arm is 0.15 rad from where it was said to be."""
    motion = moving(person, 1.0, fps=3, seed=5)
    frame = motion.params.frame(1)
    pose = frame.full_pose.clone()
    pose[JOINT_IDS["left_shoulder"], 2] += 0.15
    picture = shown(person, frame.with_full_pose(pose), around(0.0, height=96), frame=1)
    frames = with_pictures(small, [picture])

    def residual(rate: float) -> float:
        config = replace(QUICK, steps=61, offsets=False, pose_rate=rate, photo_share=0.01)
        return train_jointly(person, frames, config).history[-1]["mask"]

    assert residual(4e-3) < 0.7 * residual(0.0)


# Faces of frames that were enlarged.


def enlarged_face(avatar, picture, *, color):
    """Show the head of a picture twice as large, in one colour."""
    head = main_joints(avatar) == JOINT_IDS["head"]
    pixels, _ = picture.camera.project(avatar.pose(avatar.photo_params).means[head])
    low = pixels.amin(0).long().tolist()
    columns, rows = (pixels.amax(0) - pixels.amin(0)).long().tolist()
    paint = (torch.tensor(color) * 255).to(torch.uint8).expand(2 * rows, 2 * columns, 3)
    face = EnlargedFace(left=low[0], top=low[1], scale=2, image_8=paint.contiguous())
    return face.shown_in(picture)


def test_an_enlarged_face_colors_what_only_frames_show(person, small):
    """From behind, so that the photo has no say: only the patch can have made the difference."""
    photo = small.clips[0]
    pose, behind = person.photo_params, around(math.pi, height=SMALL_PX)
    whole = shown(person, pose, behind)

    def learned(color, **settings):
        face = None if color is None else enlarged_face(person, whole, color=color)
        clip = clip_of(person, one_frame(pose), [replace(whole, face=face)])
        config = JointConfig(steps=24, photo_share=0.02, offsets=False, **settings)
        made = train_jointly(person, FrameSet(clips=(photo, clip)), config)
        return made.avatar.canonical.colors

    red = (1.0, 0.0, 0.0)
    plain = learned(None)
    redder = (learned(red) - plain) @ torch.tensor([1.0, -0.5, -0.5])
    joints = main_joints(person)
    head, feet = (joints == JOINT_IDS[name] for name in ("head", "left_foot"))
    assert float(redder[head].mean()) > 0.01
    assert float(redder[feet].abs().mean()) < 0.1 * float(redder[head].mean())
    assert torch.equal(learned(red, face_patch=False), plain)


def test_a_face_that_is_elsewhere_is_left_out(person, small):
    photo, frames = small.clips
    whole = shown(person, person.photo_params, frames.pictures[0].camera)
    face = enlarged_face(person, whole, color=(0.5, 0.5, 0.5))

    def lesson(face):
        clip = clip_of(person, one_frame(person.photo_params), [replace(whole, face=face)])
        frames = FrameSet(clips=(photo, clip))
        return gather_frames(person, frames, with_seams=False, threads=1)[1]

    away = replace(face, camera=replace(face.camera, center_px=(-900.0, -900.0)))
    assert lesson(away).patch is None
    assert not lesson(face).patch.is_photo
    assert lesson(face).patch.picture.camera.focal_px == 2 * whole.camera.focal_px
