"""A skeleton: joint names, bones, a root, and which joints are each other's mirror."""

import collections
import dataclasses
import math

from gpsattn_jax import graphs
from gpsattn_jax.data.skeletons.messages import first_of, shortened

Pairs = tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class Layout:
    """The graph of a skeleton's joints, numbered from 0.

    Attributes:
        name: of the layout; errors name it.
        joints: a name for each joint, in the order of the coordinates.
        edges: the bones, as pairs of joints; together they connect all joints.
        root: the joint on which clips are centred and from which parts are counted.
        mirror: (left, right) pairs that change places in a mirrored clip; a joint in
            no pair stays where it is.
        anchors: joints around which parts are formed: trunk, head, hands and feet.

    Raises:
        ValueError: names the layout, the field, what was expected and what was got.
    """

    name: str
    joints: tuple[str, ...]
    edges: Pairs
    root: int
    mirror: Pairs = ()
    anchors: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self._check_names()
        self._check_joints("root", [self.root])
        self._check_joints("anchors", self.anchors)
        self._check_pairs("edges", self.edges)
        self._check_pairs("mirror", self.mirror)
        self._check_connected()
        self._check_once("mirror", [joint for pair in self.mirror for joint in pair])
        self._check_once("anchors", list(self.anchors))

    @property
    def num_joints(self) -> int:
        """How many joints."""
        return len(self.joints)

    @property
    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """The joints at the other ends of each joint's bones, in rising order."""
        return tuple(map(tuple, graphs.neighbours_of(self.num_joints, self.edges)))

    @property
    def parents(self) -> tuple[int, ...]:
        """Each joint's neighbour nearer the root; the root is its own.

        Where bones form a ring, the nearer neighbour with the lowest number.
        """
        neighbours = graphs.neighbours_of(self.num_joints, self.edges)
        return graphs.bone_parents(self.root, neighbours)

    def steps_from(self, joint: int) -> tuple[int, ...]:
        """Bones on the shortest way from a joint to each other; -1 if there is none."""
        neighbours = graphs.neighbours_of(self.num_joints, self.edges)
        steps = graphs.distances_from(joint, neighbours)
        return tuple(-1 if math.isinf(step) else int(step) for step in steps)

    def _check_names(self):
        if not self.joints:
            raise ValueError(f"{self.name}: joints must not be empty.")
        doubled = _doubled(self.joints)
        if doubled:
            raise ValueError(
                f"{self.name}: joints must differ in name; got "
                f"{shortened(doubled[0])} twice."
            )

    def _check_joints(self, field, joints):
        last = self.num_joints - 1
        for joint in joints:
            # True is an int to Python, and no joint.
            if type(joint) is not int or not 0 <= joint <= last:
                raise ValueError(
                    f"{self.name}: {field} must be joints 0..{last}; "
                    f"got {shortened(joint)}."
                )

    def _check_pairs(self, field, pairs):
        for pair in pairs:
            if not isinstance(pair, tuple) or len(pair) != 2 or pair[0] == pair[1]:
                raise ValueError(
                    f"{self.name}: {field} must be pairs of two joints; "
                    f"got {shortened(pair)}."
                )
            self._check_joints(field, pair)
        doubled = _doubled([tuple(sorted(pair)) for pair in pairs])
        if doubled:
            raise ValueError(
                f"{self.name}: {field} must differ; got {doubled[0]} twice."
            )

    def _check_connected(self):
        lost = [str(i) for i, step in enumerate(self.steps_from(self.root)) if step < 0]
        if lost:
            raise ValueError(
                f"{self.name}: edges must connect all {self.num_joints} joints with the"
                f" root {self.root}; got no way to [{first_of(lost)}]."
            )

    def _check_once(self, field, joints):
        doubled = _doubled(joints)
        if doubled:
            raise ValueError(
                f"{self.name}: {field} must name a joint once; got {doubled[0]} twice."
            )


def chains(*chains: tuple[int, ...]) -> Pairs:
    """Bones along rows of joints."""
    return tuple(
        (a, b) for chain in chains for a, b in zip(chain, chain[1:], strict=False)
    )


def sided(*words: str) -> tuple[str, ...]:
    """left_word, right_word for each word."""
    return tuple(f"{side}_{word}" for word in words for side in ("left", "right"))


def _doubled(values):
    counts = collections.Counter(values)
    return [value for value, count in counts.items() if count > 1]
