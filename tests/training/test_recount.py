import cv2
import numpy as np
import pytest

from affinage.errors import DataError, RecipeError
from affinage.imaging.augment import generator, view_matrix
from affinage.imaging.batches import Item
from affinage.imaging.boxes_in_view import times_seen
from affinage.imaging.hashing import content_id
from affinage.records.box_column import boxes_text, read_boxes
from affinage.records.preprocessing import Preprocessing
from affinage.records.recipe_text import parse_recipe
from affinage.records.settings.augment import AugmentSettings
from affinage.training.feeding import Feed, seed_of
from affinage.training.plan import Plan
from affinage.training.recount import ViewCounts

SIZE = Preprocessing(
    width=80, height=60, crop=1.0, interpolation="bilinear", whole=True,
    mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5),
)  # fmt: skip
BOXES = (
    np.array([[0, 0, 30, 30], [100, 80, 140, 110], [50, 50, 54, 54]], float),
    np.array([[10, 90, 40, 119]], float),
)
CLASSES = (np.array([0, 1, 1]), np.array([0]))


def view_counts(min_box=0.0):
    return ViewCounts(
        counts=np.array([[1, 2], [1, 0]], np.float32), boxes=BOXES, classes=CLASSES,
        frames=((160, 120), (160, 120)), min_box=min_box,
    )  # fmt: skip


def numbers(**given):
    return {"seed": 0, "epoch": 0, "image": "a", "draw": 0} | given


def test_a_whole_view_has_the_counts_of_the_table():
    counts = view_counts()
    for index in (0, 1):
        assert np.array_equal(counts.of_whole(index, SIZE), counts.counts[index])


def test_a_smaller_view_leaves_small_boxes_out():
    counts = view_counts(min_box=3)
    assert counts.of_whole(0, SIZE).tolist() == [1, 1]
    assert view_counts(min_box=2).of_whole(0, SIZE).tolist() == [1, 2]


@pytest.mark.parametrize("draw", range(20))
def test_flips_keep_the_counts(draw):
    flips = AugmentSettings(horizontal_flip=True, vertical_flip=True, crop=1.0)
    found = view_counts().of_view(0, SIZE, flips, **numbers(draw=draw))
    assert found.tolist() == [1, 2]


def test_a_covered_view_has_fewer_and_never_more():
    erasing = AugmentSettings(horizontal_flip=False, crop=1.0, erase=1.0)
    every = [view_counts().of_view(0, SIZE, erasing, **numbers(draw=n)) for n in range(100)]
    assert (np.array(every) <= [1, 2]).all()
    assert (np.array(every).sum(axis=1) < 3).any()


def test_a_step_is_told_what_its_own_views_show(tmp_path):

    paths = [tmp_path / f"{name}.png" for name in "ab"]
    for grey, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((120, 160, 3), grey, np.uint8))
    items = [Item(image=content_id(path.read_bytes()), path=path) for path in paths]
    recipe = parse_recipe(
        None, ["task=count", "count.recount=true", "augment.crop=0.2", "augment.rotation=30"]
    )
    counts = view_counts()
    feed = Feed(
        items=items, targets=counts, preprocessing=SIZE, recipe=recipe,
        plan=Plan(steps=4, steps_per_epoch=1), threads=2,
    )  # fmt: skip
    told = [batch.targets for batch in feed.batches()]
    seed = seed_of(recipe.seed, "finetune")
    for epoch, targets in enumerate(told):
        for row, index in enumerate(feed._order(epoch)):
            random = generator(seed, epoch, items[index].image)
            matrix = view_matrix(120, 160, SIZE, recipe.augment, random)
            seen = times_seen(BOXES[index], matrix, frame=(160, 120), view=(80, 60))
            wanted = np.bincount(CLASSES[index], seen, minlength=2)
            assert np.array_equal(targets[row], wanted)
    assert len({targets.tobytes() for targets in told}) > 1
    again = [batch.targets for batch in feed.batches(start=2)]
    assert np.array_equal(again, told[2:])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["task=count", "augment.crop=0.5"], "or set count.recount=true"),
        (["task=count", "augment.rotation=10"], "or set count.recount=true"),
        (["task=count", "augment.erase=0.5"], "or set count.recount=true"),
        (["task=count", "count.recount=true", "augment.policy=randaugment"], "moves objects"),
        (["task=count", "count.recount=true", "augment.mixup=0.2"], "half an object"),
        (["task=count", "count.recount=true", "stages=features"], "leave it out"),
        (["count.recount=true"], "leave it out"),
        (["task=count", "count.min_box=3"], "Set count.recount=true"),
    ],
)
def test_what_cannot_be_recounted_is_refused(given, why):
    with pytest.raises(RecipeError, match=why):
        parse_recipe(None, given)


def test_boxes_come_back_from_their_cell():
    boxes = [('red "cell", é', 0.0, 1.25, 30.5, 40.0), ("x", 1.0, 2.0, 3.0, 4.0)]
    assert read_boxes(boxes_text(boxes)) == tuple(boxes)
    assert read_boxes("[]") == ()


@pytest.mark.parametrize(
    "text",
    [None, "", "3", "[[]]", '[["a",1,2,3]]', '[["a",5,0,5,9]]', '[["a",-1,0,5,9]]', "[" * 99999,
     '[["a",0,0,"b",1]]', '[["a",0,0,NaN,1]]', '[[1,0,0,2,2]]', '{"a":1}'],
)  # fmt: skip
def test_a_cell_that_holds_no_boxes_is_refused(text):
    with pytest.raises(DataError, match="no cell of the column boxes"):
        read_boxes(text)
