"""Event files of TensorBoard, read by TensorFlow's record format."""

import pathlib
import struct
from typing import Any


def read_events(workdir: pathlib.Path, part: str = "training") -> list[Any]:
    """The events of a run's one file of a part, in order; their checksums are right."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    (path,) = (workdir / "tensorboard").glob(f"events.out.tfevents.*.{part}")
    content, events = path.read_bytes(), []
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        data, rest = content[12 : 12 + size], content[12 + size :]
        assert struct.unpack("<I", rest[:4])[0] == masked_crc32c(data)
        events.append(Event.FromString(data))
        content = rest[4:]
    assert events[0].file_version == "brain.Event:2"
    return events[1:]
