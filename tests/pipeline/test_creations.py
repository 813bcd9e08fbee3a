"""Avatars for evaluation are kept by photo, recipe and code, and made only when not there."""

from dataclasses import dataclass, replace

import pytest
import torch

from persona.evaluation.subjects import Subject
from persona.pipeline.creations import DEFAULT, Finished, Recipe, Workshop
from persona.pipeline.evaluated import our_methods
from persona.records.photo import Photo


@pytest.fixture
def subject():
    return Subject(
        name="ada",
        dataset="truth",
        photo=Photo(rgb=torch.zeros(8, 6, 3)),
        frame_count=1,
        read=lambda _: iter(()),
    )


def test_a_photo_a_recipe_and_a_person_have_a_folder_of_their_own(tmp_path, subject):
    shop = Workshop(root=tmp_path)
    other = replace(subject, photo=Photo(rgb=torch.ones(8, 6, 3)))
    folders = {
        shop.folder_of(subject, DEFAULT),
        shop.folder_of(other, DEFAULT),
        shop.folder_of(replace(subject, person=2), DEFAULT),
        shop.folder_of(subject, Recipe(refine=100)),
        shop.folder_of(subject, Recipe(refine=100, balanced=False)),
    }
    assert len(folders) == 5
    assert shop.folder_of(subject, DEFAULT) in folders
    assert all(folder.suffix == ".persona" for folder in folders)


@dataclass(frozen=True)
class Asked(Exception):
    recipe: Recipe


class Refusing:
    def get(self, subject, recipe=DEFAULT):
        raise Asked(recipe)

    def seconds(self, subject, recipe=DEFAULT):
        return 7.0


def test_finished_avatars_stand_in_for_the_default_alone(tmp_path, subject):
    shop = Finished(folders={"someone else": tmp_path}, others=Refusing())
    with pytest.raises(Asked):
        shop.get(subject)
    known = Finished(folders={"ada": tmp_path}, others=Refusing())
    with pytest.raises(Asked):
        known.get(subject, Recipe(refine=5))
    with pytest.raises(Exception, match="avatar"):
        known.get(subject)  # looked for in its folder, which is empty


def test_every_method_asks_for_the_avatar_it_is_about(subject):
    methods = our_methods(Refusing())
    wanted = {"ours", "rigid", "copy", "stiff", "baked", "physics", "photo-only", "draft"}
    assert wanted | {"refined", "unbalanced"} == set(methods)
    asked = {}
    for name, method in methods.items():
        with pytest.raises(Asked) as caught:
            method.prepare(subject)
        asked[name] = caught.value.recipe
    # What needs no avatar of its own shares the default's: one creation serves six methods.
    assert sum(recipe == DEFAULT for recipe in asked.values()) == 6
    assert asked["photo-only"].generator == "none"
    assert (asked["draft"].preset, asked["draft"].generator) == ("draft", "none")
    assert asked["refined"].balanced
    assert not asked["unbalanced"].balanced
    assert asked["refined"].refine == asked["unbalanced"].refine > 0


def test_what_an_avatar_took_is_known_of_those_that_were_made_alone(tmp_path, subject):
    assert Workshop(root=tmp_path).seconds(subject) is None
    known = Finished(folders={"ada": tmp_path}, others=Refusing())
    assert known.seconds(subject) is None
    assert known.seconds(subject, Recipe(refine=5)) == 7.0
    assert our_methods(Refusing())["ours"].made_seconds(subject) == 7.0
