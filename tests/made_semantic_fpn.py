"""mmsegmentation's FPN and FPNHead in PyTorch, written from their description."""


def make_segmenter(torch, backbone, widths, channels, head_channels, classes):
    """The names of its state dict are mmsegmentation's: backbone, neck, decode_head.

    Args:
        torch: the package.
        backbone: a module whose `maps(images)` is a list of maps.
        widths: channels of each map.
        channels: of the pyramid.
        head_channels: of the head.
        classes: of a pixel.
    """
    nn, resize = torch.nn, torch.nn.functional.interpolate
    bilinear = {"mode": "bilinear", "align_corners": False}

    def conv_module(inside, outside, size, norm):
        parts = nn.Module()
        parts.conv = nn.Conv2d(inside, outside, size, padding=size // 2, bias=not norm)
        if norm:
            parts.bn = nn.BatchNorm2d(outside)
        chain = [parts.conv] + ([parts.bn, nn.ReLU()] if norm else [])
        parts.forward = lambda x: nn.Sequential(*chain)(x)
        return parts

    class FPN(nn.Module):
        def __init__(self):
            super().__init__()
            self.lateral_convs = nn.ModuleList(
                conv_module(width, channels, 1, False) for width in widths
            )
            self.fpn_convs = nn.ModuleList(
                conv_module(channels, channels, 3, False) for _ in widths
            )

        def forward(self, maps):
            found = [
                layer(x) for layer, x in zip(self.lateral_convs, maps, strict=True)
            ]
            for place in range(len(found) - 1, 0, -1):
                size = found[place - 1].shape[2:]
                found[place - 1] = found[place - 1] + resize(found[place], size=size)
            return [layer(x) for layer, x in zip(self.fpn_convs, found, strict=True)]

    class FPNHead(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale_heads = nn.ModuleList()
            for stage in range(len(widths)):
                layers = []
                for layer in range(max(1, stage)):
                    inside = head_channels if layer else channels
                    layers.append(conv_module(inside, head_channels, 3, True))
                    if stage:
                        layers.append(nn.Upsample(scale_factor=2, **bilinear))
                self.scale_heads.append(nn.Sequential(*layers))
            self.conv_seg = nn.Conv2d(head_channels, classes, 1)

        def forward(self, maps):
            total = self.scale_heads[0](maps[0])
            for head, x in zip(self.scale_heads[1:], maps[1:], strict=True):
                total = total + resize(head(x), size=total.shape[2:], **bilinear)
            return self.conv_seg(total)

    class Segmenter(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.neck, self.decode_head = backbone, FPN(), FPNHead()

        def forward(self, images):
            logits = self.decode_head(self.neck(self.backbone.maps(images)))
            return resize(logits, size=images.shape[2:], **bilinear)

    return Segmenter()
