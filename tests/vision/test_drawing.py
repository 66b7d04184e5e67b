"""Boxes, masks and keypoints: pixels that the definition says, text that Pillow draws."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import deepgpu as dg
from deepgpu.vision import utils


def test_boxes_are_outlined():
    image = dg.zeros(3, 12, 14, dtype=dg.uint8)
    drawn = utils.draw_bounding_boxes(image, dg.tensor([[2.7, 3.0, 9.2, 8.0]]), colors=(10, 200, 30)).numpy()
    expected = np.zeros((3, 12, 14), np.uint8)
    for row, column in [(np.s_[3:9], 2), (np.s_[3:9], 9), (3, np.s_[2:10]), (8, np.s_[2:10])]:
        expected[(slice(None), row, column)] = np.array([10, 200, 30]).reshape(3, 1)
    np.testing.assert_array_equal(drawn, expected)
    assert image.numpy().max() == 0


def test_filled_boxes_let_the_image_through():
    image = dg.full((1, 10, 10), 100, dtype=dg.uint8)
    drawn = utils.draw_bounding_boxes(image, dg.tensor([[1, 1, 8, 8]]), colors="#ff0000", fill=True, width=2).numpy()
    np.testing.assert_array_equal(drawn[:, 1:3, 1:9].reshape(3, -1), np.array([[255]] + [[0]] * 2).repeat(16, 1))
    opacity = 100 / 255
    mixed = np.array([255, 0, 0]) * opacity + 100 * (1 - opacity)
    assert np.abs(drawn[:, 3:7, 3:7].reshape(3, -1).T - mixed).max() < 1
    assert (drawn[:, 0] == 100).all()


@pytest.mark.parametrize("fill_labels", [False, True])
def test_labels_are_pillows_text(fill_labels):
    image = dg.zeros(3, 30, 60, dtype=dg.uint8)
    boxes = dg.tensor([[0, 0, 59, 29]])
    drawn = utils.draw_bounding_boxes(
        image, boxes, ["cat"], "blue", label_colors="yellow", fill_labels=fill_labels, label_background_colors="red"
    )
    canvas = Image.new("RGB", (60, 30))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, 59, 29), outline="blue")
    font = ImageFont.load_default()
    if fill_labels:
        left, top, right, bottom = draw.textbbox((2, 2), "cat", font=font)
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill="red")
    draw.text((2, 2), "cat", fill="yellow", font=font)
    np.testing.assert_array_equal(drawn.numpy().transpose(1, 2, 0), np.asarray(canvas))


def test_turned_boxes_and_floats():
    image = dg.zeros(3, 20, 20)
    drawn = utils.draw_bounding_boxes(image, dg.tensor([[10, 2, 17, 10, 10, 17, 3, 10]]), colors="white")
    assert drawn.dtype is dg.float32
    found = drawn.numpy()
    for x, y in [(10, 2), (17, 10), (10, 17), (3, 10)]:
        assert (found[:, y, x] == 1).all()
    assert found[:, 10, 10].max() == found[:, 0].max() == 0


@pytest.mark.parametrize("floating", [False, True])
def test_masks_are_mixed_in(floating):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (3, 5, 6)).astype(np.uint8)
    masks = np.zeros((2, 5, 6), bool)
    masks[0, :3], masks[1, 2:, :4] = True, True
    image = dg.from_numpy((x / 255).astype(np.float32) if floating else x)
    drawn = utils.draw_segmentation_masks(image, dg.from_numpy(masks), 0.25, ["#ff0000", (0, 0, 200)]).numpy()
    painted = x.astype(np.float64)
    painted[:, masks[0]] = np.array([[255], [0], [0]])
    painted[:, masks[1]] = np.array([[0], [0], [200]])
    painted[:, masks.all(0)] = 0
    expected = x * 0.75 + painted * 0.25
    if floating:
        np.testing.assert_allclose(drawn, expected / 255, rtol=1e-5, atol=1e-6)
    else:
        assert np.abs(drawn - np.floor(expected + 1e-6)).max() <= 1e-9
    one = utils.draw_segmentation_masks(image, dg.from_numpy(masks[0]), 0.25, "red")
    np.testing.assert_array_equal(one.numpy()[:, 4], image.numpy()[:, 4])


def test_keypoints_and_lines():
    image = dg.zeros(3, 20, 20, dtype=dg.uint8)
    points = dg.tensor([[[3.0, 4.0], [15.0, 4.0], [10.0, 15.0]]])
    visible = dg.tensor([[True, True, False]])
    found = utils.draw_keypoints(image, points, [(0, 1), (1, 2)], "red", 1, 1, visible).numpy()
    assert found[:, 3, 3].tolist() == [255, 0, 0]
    assert found[:, 5, 15].tolist() == [255, 0, 0]
    assert found[:, 4, 9].tolist() == [255, 255, 255]
    assert found[:, 8:].max() == 0
    everything = utils.draw_keypoints(image, points, colors="red", visibility=visible[..., None] | True).numpy()
    assert everything[0, 15, 10] == 255


def test_palette_differs_from_box_to_box():
    image = dg.zeros(3, 20, 20, dtype=dg.uint8)
    boxes = dg.tensor([[0, 0, 3, 3], [5, 5, 8, 8], [10, 10, 13, 13]])
    found = utils.draw_bounding_boxes(image, boxes).numpy()
    assert len({tuple(found[:, i, i].tolist()) for i in (0, 5, 10)}) == 3


def test_nothing_to_draw_warns():
    image = dg.zeros(3, 4, 4, dtype=dg.uint8)
    with pytest.warns(UserWarning, match="`boxes` is empty"):
        assert utils.draw_bounding_boxes(image, dg.zeros(0, 4)) is image
    with pytest.warns(UserWarning, match="`masks` is empty"):
        assert utils.draw_segmentation_masks(image, dg.zeros(0, 4, 4, dtype=dg.bool)) is image
    with pytest.warns(UserWarning, match="`font_size` is ignored"):
        utils.draw_bounding_boxes(image, dg.tensor([[0, 0, 1, 1]]), font_size=3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda i, b: utils.draw_bounding_boxes(i.numpy(), b), TypeError, "`image` takes a tensor, but got ndarray"),
        (lambda i, b: utils.draw_bounding_boxes(i[None], b), ValueError, r"\(1, H, W\) or \(3, H, W\), not a batch"),
        (lambda i, b: utils.draw_bounding_boxes(i.to(dg.int64), b), ValueError, "uint8 or floats"),
        (lambda i, b: utils.draw_bounding_boxes(i, b[:, :3]), ValueError, r"\(N, 4\) or \(N, 8\)"),
        (lambda i, b: utils.draw_bounding_boxes(i, b.flip(1)), ValueError, "xmin <= xmax"),
        (lambda i, b: utils.draw_bounding_boxes(i, b, ["a", "b"]), ValueError, "1 texts, one for each box, but got 2"),
        (lambda i, b: utils.draw_bounding_boxes(i, b, colors=[]), ValueError, "at least 1 colours"),
        (lambda i, b: utils.draw_segmentation_masks(i, b), ValueError, "with the image's size"),
        (lambda i, b: utils.draw_segmentation_masks(i, i), ValueError, "bools"),
        (lambda i, b: utils.draw_keypoints(i, b), ValueError, r"\(N, K, 2\)"),
        (lambda i, b: utils.draw_keypoints(i, b.reshape(1, 2, 2), visibility=b), ValueError, r"shape \(1, 2\)"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    image = dg.zeros(3, 6, 6, dtype=dg.uint8)
    with pytest.raises(error, match=message):
        call(image, dg.tensor([[0, 1, 4, 5]]))
