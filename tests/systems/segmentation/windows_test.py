"""Windows that slide over pictures: each pixel once or more, means where they meet."""

import numpy as np
import pytest

from gpsattn_jax.systems.segmentation.windows import (
    batch_size,
    default_stride,
    sliding_logits,
    starts,
)


def network(images):
    """Two logits of each pixel, which depend on its window, too."""
    images = images.astype(np.float32)
    place = np.arange(images.shape[1], dtype=np.float32)[:, None]
    first = images[..., 0] + place
    return np.stack(
        np.broadcast_arrays(first, images.mean((1, 2, 3))[:, None, None]), -1
    )


def slide(pictures, window=8, stride=5, size=3):
    how = {"window": window, "stride": stride, "size": size}
    return list(sliding_logits(network, pictures, **how))


def picture(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (*shape, 3), np.uint8)


def test_one_window_over_all_is_the_network_itself():
    whole = picture(8, 8)
    np.testing.assert_array_equal(slide([whole])[0], network(whole[None])[0])


def test_overlapping_windows_give_their_mean():
    """Against the mean taken pixel by pixel, over windows found by hand."""
    whole = picture(13, 9)
    corners = [(top, left) for top in (0, 5) for left in (0, 1)]
    sums, counts = np.zeros((13, 9, 2)), np.zeros((13, 9, 1))
    for top, left in corners:
        box = slice(top, top + 8), slice(left, left + 8)
        sums[box] += network(whole[box][None])[0]
        counts[box] += 1
    np.testing.assert_allclose(slide([whole])[0], sums / counts, rtol=1e-6)
    assert counts.min() == 1 and counts.max() == 4


def test_pictures_smaller_than_a_window_are_filled_up_and_cut_again():
    small = picture(5, 6)
    (found,) = slide([small])
    padded = np.pad(small, ((0, 3), (0, 2), (0, 0)), mode="edge")
    np.testing.assert_array_equal(found, network(padded[None])[0][:5, :6])


@pytest.mark.parametrize("size", [1, 2, 7])
def test_batches_change_nothing(size):
    pictures = [
        picture(*shape, seed=n) for n, shape in enumerate([(13, 9), (4, 4), (8, 20)])
    ]
    for one, other in zip(slide(pictures, size=size), slide(pictures), strict=True):
        np.testing.assert_array_equal(one, other)
    assert slide([]) == []


def test_pictures_come_out_before_all_have_gone_in():
    """So that a folder of thousands needs the memory of a few."""
    gone_in = []

    def pictures():
        for number in range(5):
            gone_in.append(number)
            yield picture(8, 8, seed=number)

    found = sliding_logits(network, pictures(), window=8, stride=8, size=2)
    next(found)
    assert gone_in == [0, 1]


def test_sizes():
    assert starts(8, 8, 5) == [0] and starts(13, 8, 5) == [0, 5]
    assert starts(20, 8, 5) == [0, 5, 10, 12]
    assert default_stride(512) == 341 and default_stride(1) == 1
    assert batch_size(64, 1) == 64 and batch_size(512, 3) == 3
    with pytest.raises(ValueError, match="stride must be from 1 to window=8; got 9"):
        slide([picture(8, 8)], stride=9)
