"""Renderings of scenes: what the record says is what is seen, in every style, at every size."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.data.scenes import (
    BACKGROUND_RGB,
    BACKGROUNDS,
    COLOR_RGB,
    COLORS,
    MOTIONS,
    PLACES,
    SHAPES,
    SIZES,
    STYLES,
    join,
    label_map,
    masks,
    records,
    render,
    render_video,
    scene,
)
from course_utils.data.scenes.drawing import flat
from course_utils.data.scenes.noise import lattice
from course_utils.data.scenes.shapes import layout

EVERY_OBJECT = join(
    [scene([(size, color, shape, "top left")]) for size in SIZES for color in ("red", "black") for shape in SHAPES]
)


@pytest.mark.parametrize("style", STYLES)
def test_pictures(style):
    scenes = records("train", range(20))
    for size in (8, 31, 32):
        images = render(scenes, size, style)
        assert images.shape == (20, 3, size, size)
        assert images.dtype == torch.float32
        assert images.is_contiguous()
        assert -1 <= images.min() < images.max() <= 1


@pytest.mark.parametrize("style", STYLES)
def test_a_picture_does_not_depend_on_its_batch(style):
    scenes = records("train", range(300))  # more than are rendered at a time
    together = render(scenes, 16, style)
    for index in (0, 255, 256, 299):
        torch.testing.assert_close(render(scenes[index], 16, style)[0], together[index], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("style", "tolerance"),
    [("flat", 0.004), ("photo", 0.015), ("sketch", 0.08), ("painted", 0.06), ("labels", 0.04), ("edges", 0.03),
     ("day", 0.015), ("night", 0.025), ("plain", 0.03), ("striped", 0.04), ("plan", 0.04), ("aerial", 0.05),
     ("side", 0.03)],
)  # fmt: skip
def test_the_same_picture_at_every_size(style, tolerance):
    scenes = records("test", range(60))
    small, large = render(scenes, 32, style), render(scenes, 64, style)
    assert (F.avg_pool2d(large, 2) - small).abs().mean() < tolerance
    others = render(scenes[torch.arange(60).roll(1)], 32, style)
    assert (others - small).abs().mean() > 2 * tolerance  # the bound tells pictures apart


def test_styles_differ():
    scenes = records("test", range(20))
    images = [render(scenes, 32, style) for style in STYLES]
    for first in range(len(STYLES)):
        for second in range(first):
            assert (images[first] - images[second]).abs().mean() > 0.03


def test_the_quick_way_draws_what_the_plain_way_draws():
    scenes = records("train", range(500))
    for size in (32, 50):
        torch.testing.assert_close(render(scenes, size), flat(scenes, size, layout(scenes)), atol=1e-6, rtol=0)


def test_an_object_has_the_color_of_its_record():
    scenes = records("compositional", range(300))
    images, cover, names = render(scenes, 32), masks(scenes, 32), label_map(scenes, 32)
    for place in range(4):
        (which,) = torch.where(scenes.present[:, place])
        wanted = torch.tensor([COLOR_RGB[COLORS[color]] for color in scenes.color[which, place]]) / 127.5 - 1
        for image, inside, color in zip(images[which], cover[which, place] == 1, wanted, strict=True):
            assert inside.sum() > 10
            torch.testing.assert_close(image[:, inside], color[:, None].expand(-1, int(inside.sum())))
    free = (cover == 0).all(1)
    for image, empty, tone, name in zip(images, free, scenes.background, names, strict=True):
        color = torch.tensor(BACKGROUND_RGB[BACKGROUNDS[tone]]) / 127.5 - 1
        torch.testing.assert_close(image[:, empty], color[:, None].expand(-1, int(empty.sum())))
        assert (name[empty] == 0).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**30), st.integers(8, 70))
def test_masks_and_label_map_agree(start, size):
    scenes = records("train", range(start, start + 20))
    cover, names = masks(scenes, size), label_map(scenes, size)
    assert cover.shape == (20, 4, size, size)
    assert names.shape == (20, size, size)
    assert 0 <= cover.min() <= cover.max() <= 1
    assert (cover.sum((2, 3)) > 0).equal(scenes.present)
    if size >= 32:  # objects do not touch
        assert cover.sum(1).max() <= 1 + 1e-6
    likely = cover.amax(1) > 0.51
    wanted = 1 + scenes.shape[torch.arange(20)[:, None, None], cover.argmax(1)]
    assert torch.equal(names[likely], wanted[likely])
    assert (names[cover.amax(1) < 0.49] == 0).all()


def test_each_object_stays_in_its_quarter():
    cover = masks(records("train", range(2000)), 32)
    for place in range(4):
        rows, columns = (slice(0, 16), slice(16, 32))[place // 2], (slice(0, 16), slice(16, 32))[place % 2]
        outside = cover[:, place].clone()
        outside[:, rows, columns] = 0
        assert outside.max() < 1e-6


def test_masks_move_with_the_jitter():
    still = scene([("small", "red", "square", "top left")])
    jitter = still.jitter.clone()
    jitter[0, 0] = torch.tensor([2, -2])  # one pixel to the right and one up
    moved = masks(replace(still, jitter=jitter))[0, 0]
    torch.testing.assert_close(moved, masks(still)[0, 0].roll((-1, 1), (0, 1)), atol=1e-5, rtol=0)


def test_shapes_and_sizes_can_be_told_apart():
    cover = masks(EVERY_OBJECT, 32)[:, 0].flatten(1)
    area = cover.sum(1)
    assert area[: len(area) // 2].max() < area[len(area) // 2 :].min() * 1.05
    for first in range(6):
        for second in range(first):
            assert (cover[first] - cover[second]).abs().sum() > 0.15 * min(area[first], area[second])


def test_colors_and_backgrounds_can_be_told_apart():
    table = torch.tensor(list(COLOR_RGB.values()) + list(BACKGROUND_RGB.values())).float()
    distance = torch.cdist(table, table) + 1000 * torch.eye(len(table))
    assert distance.min() > 40
    assert list(COLOR_RGB) == list(COLORS)
    assert list(BACKGROUND_RGB) == list(BACKGROUNDS)


def test_styles_that_hide_the_color_do_and_the_others_do_not():
    red = scene([("large", "red", "circle", "top left")])
    blue = scene([("large", "blue", "circle", "top left")])
    for style in STYLES:
        changed = (render(red, 32, style) - render(blue, 32, style)).abs().mean()
        assert (changed < 1e-6) == (style in ("labels", "edges")), style


def test_texture_belongs_to_the_record():
    one = scene([("large", "red", "circle", "top left")], texture=1)
    other = scene([("large", "red", "circle", "top left")], texture=2)
    for style in ("photo", "painted", "sketch", "aerial", "striped"):
        assert (render(one, 32, style) - render(other, 32, style)).abs().mean() > 0.01, style
    for style in ("flat", "edges", "labels", "plan"):
        assert torch.equal(render(one, 32, style), render(other, 32, style)), style


def test_noise_has_no_pattern():
    """Neighbours and channels are independent, and all numbers equally likely."""
    texture = records("train", range(400)).texture
    for width in (5, 16, 30):
        numbers = lattice(texture, 3, width, width)
        assert 0 <= numbers.min()
        assert numbers.max() < 1
        assert torch.histc(numbers, 10, 0, 1) / numbers.numel() == pytest.approx([0.1] * 10, rel=0.1)
        others = (numbers[:, 1:, :], numbers[:, :, 1:], numbers[1:], lattice(texture, 4, width, width))
        mine = (numbers[:, :-1, :], numbers[:, :, :-1], numbers[:-1], numbers)
        for first, second in zip(mine, others, strict=True):
            assert torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1].abs() < 0.05


@pytest.mark.parametrize("style", ["flat", "photo", "striped"])
def test_a_video_begins_with_the_picture(style):
    scenes = records("train", range(30))
    videos = render_video(scenes, 32, 4, style)
    assert videos.shape == (30, 4, 3, 32, 32)
    torch.testing.assert_close(videos[:, 0], render(scenes, 32, style), atol=1e-5, rtol=0)
    assert ((videos[:, 3] - videos[:, 0]).abs().amax((1, 2, 3)) > 0.1).all()


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_mover_does_what_its_motion_says(motion):
    still = scene([("large", "red", "square", "top right"), ("small", "black", "circle", "bottom left")])
    moving = replace(still, mover=torch.tensor([1]), motion=torch.tensor([MOTIONS.index(motion)]))
    red = torch.tensor(COLOR_RGB["red"])[:, None, None] / 127.5 - 1
    seen = ((render_video(moving, 64, 5)[0] - red).abs().amax(1) < 0.1).float()  # (frames, 64, 64)
    area = seen.sum((1, 2))
    x = (seen.sum(1) * torch.arange(64)).sum(1) / area
    y = (seen.sum(2) * torch.arange(64)).sum(1) / area
    dx, dy, growth = float(x[2] - x[0]), float(y[2] - y[0]), float(area[2] / area[0])
    wanted = {
        "moves left": dx < -5 and abs(dy) < 1,
        "moves right": dx > 2 and abs(dy) < 1,
        "moves up": dy < -2 and abs(dx) < 1,
        "moves down": dy > 5 and abs(dx) < 1,
        "grows": growth > 1.3 and abs(dx) < 1,
        "shrinks": growth < 0.7 and abs(dx) < 1,
    }
    assert wanted[motion], (dx, dy, growth)


def test_the_mover_passes_in_front():
    still = scene([("large", "red", "square", "top left"), ("large", "blue", "square", "top right")])
    moving = replace(still, mover=torch.tensor([0]), motion=torch.tensor([MOTIONS.index("moves right")]))
    jitter = moving.jitter.clone()
    jitter[0, 0, 0] = 2
    last = render_video(replace(moving, jitter=jitter), 64, 2)[0, 1]
    assert last[0, 16, 40] > 0.3  # red where both are
    assert last[2, 16, 40] < -0.5


def test_the_side_view_keeps_left_and_right_and_puts_the_upper_row_far_off():
    for place, word in enumerate(PLACES):
        with_it, without = scene([("small", "red", "square", word)]), scene([])
        seen = (render(with_it, 64, "side") - render(without, 64, "side"))[0].abs().amax(0) > 0.5
        rows, columns = seen.nonzero().float().mean(0).tolist()
        assert (columns > 32) == (place % 2 == 1)
        assert (rows > 38) == (place // 2 == 1)


def test_pictures_of_no_scene_and_of_an_empty_one():
    assert render(records("train", []), 32).shape == (0, 3, 32, 32)
    empty = render(scene([], "mint"), 32)
    assert torch.equal(empty, empty[:, :, :1, :1].expand(-1, -1, 32, 32))


def test_errors_name_what_is_allowed():
    scenes = records("train", range(2))
    with pytest.raises(ValueError, match="flat, photo, sketch, painted"):
        render(scenes, 32, "oil")
    for make in (render, masks, label_map, render_video):
        with pytest.raises(ValueError, match="at least 8"):
            make(scenes, 7)
    with pytest.raises(ValueError, match="at least 2"):
        render_video(scenes, 32, 1)


@pytest.mark.gpu
@pytest.mark.parametrize("style", STYLES)
def test_a_gpu_draws_the_same(style):
    scenes = records("train", range(200))
    drawn = render(scenes.to("cuda"), 32, style).cpu()
    torch.testing.assert_close(drawn, render(scenes, 32, style), atol=1e-5, rtol=0)
