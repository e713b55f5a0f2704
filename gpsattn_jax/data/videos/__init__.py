"""Videos as sequences of features, with people's opinions of them.

What needs an extra (h5py, PyYAML, Pillow, PyAV) is imported when it is asked for.
"""

import importlib
from typing import Any

_HOMES = {
    "Stretch": "annotations",
    "check_within": "annotations",
    "read_annotations": "annotations",
    "user_rows": "annotations",
    "read_videos": "feature_files",
    "write_videos": "feature_files",
    "TRANSFORMS": "feature_transforms",
    "transform_video": "feature_transforms",
    "unit_length": "feature_transforms",
    "preprocess_frames": "frame_preprocessing",
    "SampledFeatures": "sampled_features",
    "check_split": "split_files",
    "find_keys": "split_files",
    "read_splits": "split_files",
    "Video": "videos",
    "VideoSet": "videos",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
