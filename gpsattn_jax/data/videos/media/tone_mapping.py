"""HLG and PQ pictures for ordinary displays: a table of colours for FFmpeg's `lut3d`.

Light of 203 nits, which both mean by white paper, becomes a bright white of BT.709, and
brighter light rolls off towards the display's white: ITU-R BT.2390's curve, from a peak
of 1,000 nits, in the brightest channel, so that hues stay.
"""

import functools

import numpy as np

TRANSFERS = {16: "PQ", 18: "HLG"}  # FFmpeg's numbers
SIZE = 33  # points of the table in each channel

_PEAK, _WHITE = 1000.0, 203.0  # nits
_FROM_BT2020 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)
_HLG_LUMA = np.array([0.2627, 0.6780, 0.0593])
_M1, _M2 = 2610 / 16384, 2523 / 32  # PQ's constants
_C1, _C2, _C3 = 3424 / 4096, 2413 / 128, 2392 / 128


def tone_map(signal: np.ndarray, transfer: str) -> np.ndarray:
    """Colours of BT.2020 in HLG or PQ -> of BT.709: [..., 3] in 0..1, both encoded.

    Args:
        signal: red, green and blue.
        transfer: "HLG" or "PQ".
    """
    light = _hlg_light(signal) if transfer == "HLG" else _pq_light(signal)
    light = np.minimum(light, _PEAK)
    brightest = np.maximum(light.max(-1, keepdims=True), 1e-6)
    light = light * (_roll_off(brightest) / brightest) / _WHITE
    return np.clip(light @ _FROM_BT2020.T, 0, 1) ** (1 / 2.4)


@functools.cache
def color_table(transfer: str) -> str:
    """The text of a .cube file, red changing fastest."""
    steps = np.linspace(0, 1, SIZE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    colors = tone_map(np.stack([red, green, blue], -1).reshape(-1, 3), transfer)
    lines = (f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in colors.tolist())
    return f"LUT_3D_SIZE {SIZE}\n" + "\n".join(lines) + "\n"


def _hlg_light(signal):
    """Nits on a display of 1,000 nits (ITU-R BT.2100)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    low, high = signal**2 / 3, (np.exp((signal - c) / a) + b) / 12
    scene = np.where(signal <= 0.5, low, high)
    return _PEAK * scene * (scene @ _HLG_LUMA)[..., None] ** 0.2


def _pq_light(signal):
    power = signal ** (1 / _M2)
    return 1e4 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def _pq_signal(nits):
    power = (nits / 1e4) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def _roll_off(nits):
    """Nits up to the peak -> nits up to white."""
    peak = _pq_signal(_PEAK)
    value, most = _pq_signal(nits) / peak, _pq_signal(_WHITE) / peak
    knee = 1.5 * most - 0.5
    t = np.maximum(value - knee, 0) / (1 - knee)
    curve = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * most
    )
    return _pq_light(np.where(value < knee, value, curve) * peak)
