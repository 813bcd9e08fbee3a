"""Whom to follow: found, kept, lost, found again; never another; cuts and cameras."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from persona.core.errors import InputError
from persona.images.clips import Frame
from persona.perception.detectors import Detectors, Sighting
from persona.tracking import following, watching
from persona.tracking.camera_motion import CameraWatcher, camera_turns, still, turned_by
from persona.tracking.cuts import CutFinder
from persona.tracking.following import Follower, checked
from persona.tracking.watching import watch

PICTURE = np.zeros((480, 640, 3), np.uint8)


def glimpse(x=300.0, y=240.0, size=1.0, **more):
    """A person of 200 px height whose hips are at (x, y)."""
    body = np.zeros((33, 2))
    body[:11] = (0, -90)
    body[[11, 12]] = [(20, -70), (-20, -70)]
    body[[13, 14, 15, 16]] = [(30, -40), (-30, -40), (32, -10), (-32, -10)]
    body[17:23] = (0, 0)
    body[[23, 24]] = [(12, 0), (-12, 0)]
    body[[25, 26, 27, 28]] = [(12, 50), (-12, 50), (12, 95), (-12, 95)]
    body[29:33] = (0, 100)
    flat = size * body * (1, -1) / 110
    return Sighting(
        body=size * body + (x, y),
        visibility=np.ones(33),
        world=np.concatenate([flat, np.zeros((33, 1))], 1),
        face=None,
        left_hand=None,
        right_hand=None,
        mask=np.zeros((480, 640), np.float32),
        **more,
    )


class Script(Detectors):
    """Detectors that say what they are told, frame by frame."""

    def __init__(self, seen):
        super().__init__()
        self.seen, self.forgotten = list(seen), 0

    def follow(self, picture):
        return self.seen.pop(0)

    def forget(self):
        self.forgotten += 1


@pytest.fixture
def found(monkeypatch):
    """What searching finds: a list of lists of people, each used once, the last for ever."""
    answers = [[glimpse()]]

    def people(picture, detectors):
        return (answers.pop(0) if len(answers) > 1 else answers[0]), []

    monkeypatch.setattr(following, "find_people", people)
    monkeypatch.setattr(
        following, "first_look", lambda *args, **more: next(iter(people(*args)[0]), None)
    )
    return answers


def test_a_person_is_kept_while_they_walk(found):
    script = Script(glimpse(300 + 5 * k) for k in range(10))
    follower = Follower(script, person=None, name="film")
    seen = [follower.look(PICTURE) for _ in range(10)]
    assert all(one is not None for one in seen)
    assert seen[9].body[23, 0] == 300 + 45 + 12


def test_another_person_is_never_taken(found):
    script = Script([glimpse(300), glimpse(580), glimpse(305)])
    follower = Follower(script, person=None, name="film")
    seen = [follower.look(PICTURE) for _ in range(3)]
    assert [one is not None for one in seen] == [True, False, True]
    assert script.forgotten == 2


def test_one_who_changes_size_is_another(found):
    follower = Follower(Script([glimpse(), glimpse(size=2.0)]), person=None, name="film")
    assert follower.look(PICTURE) is not None
    assert follower.look(PICTURE) is None


def test_lost_and_found_again(found):
    script = Script([glimpse(), *[None] * 4, *[glimpse(320)] * 9])
    follower = Follower(script, person=None, name="film")
    seen = [follower.look(PICTURE) is not None for _ in range(8)]
    assert seen[0]
    assert not any(seen[1:5])
    assert seen[-1]


def test_nobody_is_searched_for_ever_more_rarely(found):
    found[:] = [[]]
    follower = Follower(Script([]), person=None, name="film")
    assert [follower.look(PICTURE) for _ in range(50)] == [None] * 50


def test_several_people_want_a_choice(found):
    found[:] = [[glimpse(100), glimpse(400)]]
    with pytest.raises(InputError, match="2 people were found in film") as refused:
        Follower(Script([]), person=None, name="film").look(PICTURE)
    assert "--person" in refused.value.fix
    with pytest.raises(InputError, match="person 3 was asked for"):
        Follower(Script([]), person=3, name="film").look(PICTURE)


def test_the_others_are_hidden_from_the_chosen_one(found):
    found[:] = [[glimpse(100), glimpse(500)]]
    shown = []

    class Watching(Script):
        def follow(self, picture):
            shown.append(picture)
            return super().follow(picture)

    bright = np.full((480, 640, 3), 255, np.uint8)
    follower = Follower(Watching([glimpse(500)]), person=2, name="film")
    assert follower.look(bright).body[23, 0] == 512
    assert shown[0][240, 500, 0] == 255
    assert shown[0][240, 100, 0] == 127


def test_a_hand_away_from_its_wrist_is_nobodys():
    far = np.tile([10.0, 10.0, 0.0], (21, 1))
    near = np.tile([332.0, 230.0, 0.0], (21, 1))
    kept = checked(replace(glimpse(), left_hand=near, right_hand=far))
    assert kept.left_hand is not None
    assert kept.right_hand is None


def frames(count):
    return [Frame(PICTURE, k / 30) for k in range(count)]


def test_a_film_becomes_sightings_from_first_to_last(found, monkeypatch):
    found[:] = [[], [glimpse()]]
    script = Script([*[glimpse()] * 3, None, *[glimpse()] * 20])
    monkeypatch.setattr(watching, "Detectors", lambda: script)
    sightings, camera = watch(frames(12), person=None, name="film")
    assert sightings.count < 12
    assert bool(sightings.seen[0])
    assert bool(sightings.seen[-1])
    assert int((~sightings.seen).sum()) == 1
    assert not camera.moving
    assert "assumed" in camera.said


def test_nobody_and_only_a_head_are_refused(found, monkeypatch):
    found[:] = [[]]
    monkeypatch.setattr(watching, "Detectors", lambda: Script([]))
    with pytest.raises(InputError, match="nobody was found in film"):
        watch(frames(5), person=None, name="film")
    head = glimpse(y=545.0)
    found[:] = [[head]]
    monkeypatch.setattr(watching, "Detectors", lambda: Script([head] * 9))
    with pytest.raises(InputError, match="only a head is in the picture of film"):
        watch(frames(9), person=None, name="film")


def test_a_film_has_one_size(found, monkeypatch):
    monkeypatch.setattr(watching, "Detectors", lambda: Script([glimpse()] * 3))
    other = Frame(np.zeros((200, 640, 3), np.uint8), 0.5)
    with pytest.raises(InputError, match="changes from 640 x 480 to 640 x 200"):
        watch([*frames(2), other], person=None, name="film")


def scene(seed=0, size=(700, 900)):
    noise = np.random.default_rng(seed).integers(0, 255, (size[0] // 20, size[1] // 20, 3))
    return cv2.resize(noise.astype(np.uint8), size[::-1], interpolation=cv2.INTER_CUBIC)


def test_a_pan_is_measured():
    wide, watcher = scene(), CameraWatcher()
    motions = np.stack([watcher.watch(wide[100:580, 4 * k : 4 * k + 640], None) for k in range(40)])
    np.testing.assert_allclose(motions[-1][:2, 2], (-4 * 39, 0), atol=3)
    assert not still(motions, (640, 480))
    turns = camera_turns(motions, (640, 480), 640.0)
    assert abs(turned_by(turns) - np.degrees(np.arctan(156 / 640))) < 1
    # The camera turned to the right: what was ahead lies to the left.
    assert float(turns[-1] @ turns.new_tensor([0, 0, -1.0]) @ turns.new_tensor([1.0, 0, 0])) < -0.2


def test_a_still_camera_is_still_behind_a_moving_person():
    wide, watcher = scene(), CameraWatcher()
    motions = []
    for k in range(20):
        picture = wide[:480, :640].copy()
        picture[100:400, 50 + 20 * k : 150 + 20 * k] = (200, 30, 30)
        box = (50.0 + 20 * k, 100.0, 150.0 + 20 * k, 400.0)
        motions.append(watcher.watch(picture, box))
    assert still(np.stack(motions), (640, 480))


def test_cuts_are_found_and_motion_is_none():
    finder = CutFinder()
    first, second = (scene(seed, (60, 120)) for seed in (1, 2))
    first, second = (cv2.resize(one, (1000, 480)) for one in (first, second))
    cuts = [finder.is_cut(first[:, 5 * k : 5 * k + 640]) for k in range(20)]
    cuts += [finder.is_cut(second[:, 5 * k : 5 * k + 640]) for k in range(20)]
    assert [k for k, cut in enumerate(cuts) if cut] == [20]
    flash = CutFinder()
    flash.is_cut(first[:, :640])
    assert not flash.is_cut((first[:, :640].astype(float) * 0.7).astype(np.uint8))
