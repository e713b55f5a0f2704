"""torchvision's ResNet names -> the plain twin, against a ResNet in PyTorch."""

import dataclasses

import jax
import numpy as np
import pytest

from gpsattn_jax import convert
from gpsattn_jax.convert import ConversionError
from gpsattn_jax.models import gsanet


def make_resnet(torch, layers, widths, classes):
    """A bottleneck ResNet with torchvision's names, written from its description."""
    nn = torch.nn

    class Bottleneck(nn.Module):
        def __init__(self, inside, width, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inside, width, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(4 * width)
            self.downsample = None
            if stride > 1 or inside != 4 * width:
                shortcut = nn.Conv2d(inside, 4 * width, 1, stride, bias=False)
                self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(4 * width))

        def forward(self, x):
            out = torch.relu(self.bn1(self.conv1(x)))
            out = torch.relu(self.bn2(self.conv2(out)))
            out = self.bn3(self.conv3(out))
            return torch.relu(
                out + (x if self.downsample is None else self.downsample(x))
            )

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(widths[0])
            channels = widths[0]
            for group, (count, width) in enumerate(zip(layers, widths, strict=True)):
                blocks = []
                for index in range(count):
                    stride = 2 if group and not index else 1
                    blocks.append(Bottleneck(channels, width, stride))
                    channels = 4 * width
                setattr(self, f"layer{group + 1}", nn.Sequential(*blocks))
            self.fc = nn.Linear(channels, classes)

        def forward(self, x):
            x = torch.relu(self.bn1(self.conv1(x)))
            x = nn.functional.max_pool2d(x, 3, 2, 1)
            for group in range(len(layers)):
                x = getattr(self, f"layer{group + 1}")(x)
            return self.fc(x.mean((2, 3)))

    return ResNet()


@pytest.fixture(scope="module")
def theirs(torch):
    """A small ResNet with statistics and affine parts that are not the first ones."""
    torch.manual_seed(0)
    network = make_resnet(torch, (2, 1, 1), (4, 6, 8), 5)
    with torch.no_grad():
        for name, array in network.state_dict().items():
            norm = "bn" in name or "downsample.1" in name
            if norm and array.is_floating_point():
                array.uniform_(0.5, 1.5)
    return network.eval()


def test_outputs_agree(torch, theirs, tmp_path):
    torch.save({"state_dict": theirs.state_dict()}, tmp_path / "resnet.pth")
    network, params, state = convert.load("gsanet", tmp_path / "resnet.pth")
    images = np.random.default_rng(0).normal(size=(2, 36, 28, 3)).astype(np.float32)
    logits, _ = network.apply(params, state, images)
    with torch.no_grad():
        expected = theirs(torch.tensor(images).permute(0, 3, 1, 2)).numpy()
    error = np.abs(logits - expected).max() / np.abs(expected).max()
    assert error < 2e-5


def test_what_does_not_fit_is_listed(theirs):
    arrays = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    arrays["layer2.0.conv1.weight"] = arrays["layer2.0.conv1.weight"][:, :3]
    arrays["extra"] = np.zeros(3, np.float32)
    del arrays["layer3.0.bn2.weight"]
    with pytest.raises(ConversionError) as error:
        convert.load("gsanet", arrays)
    for line in (
        "unmatched: extra (3,)",
        "missing: layer3.0.bn2.weight -> params/blocks/3/mix_norm/scale (8,)",
        "misshapen: layer2.0.conv1.weight -> params/blocks/2/reduce/kernel",
    ):
        assert line in str(error.value)


def test_weights_are_grafted_with_a_new_head(theirs):
    arrays = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    network, params, state = convert.load("gsanet", arrays)
    config = gsanet.Config(
        layers=(2, 1, 1), widths=(4, 6, 8), mixers=("conv",) * 3, num_classes=7
    )
    other = gsanet.build(config)
    new, _, lines = convert.graft(other, jax.random.key(0), params, state)
    assert new["head"]["kernel"].shape == (32, 7) and len(lines) == 2
    assert "params/head/kernel (32, 5) starts afresh as (32, 7)." in lines
    np.testing.assert_array_equal(new["stem"]["kernel"], params["stem"]["kernel"])
    wider = gsanet.build(dataclasses.replace(config, widths=(4, 6, 10)))
    with pytest.raises(ConversionError, match="misshapen: params/blocks/3/expand"):
        convert.graft(wider, jax.random.key(0), params, state)
