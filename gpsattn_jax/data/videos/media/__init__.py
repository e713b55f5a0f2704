"""Video files: sampled by time, and written (needs PyAV, when it is asked for).

All times are seconds as a player counts them: 0:00 is where the file begins.
"""

import importlib
from typing import Any

_HOMES = {
    "Clock": "clock",
    "read_clock": "clock",
    "Converter": "conversion",
    "write_demo_video": "demo_video",
    "VideoInfo": "probing",
    "probe": "probing",
    "sampled_frames": "sampling",
    "find_sound": "sound",
    "tone_map": "tone_mapping",
    "WatchedFrames": "watched_frames",
    "WrittenVideo": "writing",
    "write_segments": "writing",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
