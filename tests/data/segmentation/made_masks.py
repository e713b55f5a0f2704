"""Small pictures with masks, written as a user has them."""

import numpy as np


def write_pair(root, name, shape):
    """A picture of three bands, each of a brightness of its own, and its mask.

    Args:
        root: gets images/NAME.jpg and masks/NAME.png.
        name: of both, perhaps with folders.
        shape: rows and columns.
    """
    from PIL import Image

    mask = np.repeat(np.arange(shape[0])[:, None] * 3 // shape[0], shape[1], 1)
    draw = np.random.default_rng(len(name))
    noise = draw.normal(0, 5, (*shape, 3))
    picture = np.clip(60 + 70 * mask[..., None] + noise, 0, 255).astype(np.uint8)
    mask = mask.astype(np.uint8)
    mask[:2, :2] = 255
    indexed = Image.fromarray(mask)
    if name.endswith("1"):  # palettes' colours play no part
        indexed.putpalette(np.arange(768, dtype=np.uint8).tobytes())
    for folder, image, suffix in (
        ("images", Image.fromarray(picture), "jpg"),
        ("masks", indexed, "png"),
    ):
        path = root / folder / f"{name}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
