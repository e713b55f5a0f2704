"""A small ResNet's state dict under torchvision's names, made up."""

import numpy as np


def resnet_arrays(layers=(2, 1), widths=(4, 6), classes=5):
    """Arrays by name; all of them positive, so that norms stay norms."""
    draw = np.random.default_rng(0)
    arrays = {}

    def add(name, *shape):
        arrays[name] = draw.uniform(0.5, 1.5, shape).astype(np.float32)

    def conv_and_norm(conv, norm, outside, inside, size):
        kernel = draw.normal(size=(outside, inside, size, size)) / size**2 / inside
        arrays[f"{conv}.weight"] = kernel.astype(np.float32)
        for part in ("weight", "bias", "running_mean", "running_var"):
            add(f"{norm}.{part}", outside)

    conv_and_norm("conv1", "bn1", widths[0], 3, 7)
    channels = widths[0]
    for group, (count, width) in enumerate(zip(layers, widths, strict=True), start=1):
        for index in range(count):
            block = f"layer{group}.{index}."
            conv_and_norm(f"{block}conv1", f"{block}bn1", width, channels, 1)
            conv_and_norm(f"{block}conv2", f"{block}bn2", width, width, 3)
            conv_and_norm(f"{block}conv3", f"{block}bn3", 4 * width, width, 1)
            if index == 0:
                names = f"{block}downsample.0", f"{block}downsample.1"
                conv_and_norm(*names, 4 * width, channels, 1)
            channels = 4 * width
    add("fc.weight", classes, channels)
    add("fc.bias", classes)
    return arrays
