"""The kernels, one row each: how each is called, and its slow NumPy twin."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from gpsattn_jax import kernels
from tests.kernels import reference

# Compiling takes most of these tests' time.
quick_jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)

SIZES = {"L": 7, "T": 5, "S": 7, "D": 4, "E": 3, "R": 7}
SIZES |= {"N": 2, "B": 2, "H": 5, "W": 6, "C": 4, "K": 3, "G": 2}


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One kernel, or one way of calling it.

    Attributes:
        kernel: the function.
        twin: its slow NumPy twin.
        arguments: positional arguments by name, as axis letters; "T S?" is boolean,
            a number is a size that no test changes.
        out: the result's axes, likewise.
        options: keyword arguments.
        out_dtype: the result's dtype if not that of the inputs.
    """

    kernel: Callable
    twin: Callable
    arguments: dict[str, str]
    out: str
    options: dict = dataclasses.field(default_factory=dict)
    out_dtype: str | None = None

    def make(self, seed=0, draw=np.random.Generator.standard_normal, **sizes):
        """Arguments in the widest float that is on; each query sees a key."""
        generator, arrays = np.random.default_rng(seed), []
        for axes in self.arguments.values():
            array = draw(generator, size=shape_of(axes.rstrip("?"), sizes))
            if axes.endswith("?"):
                array = array > 0.3
                array[..., 0] = True
            arrays.append(jnp.asarray(array))
        return tuple(arrays)

    def shape(self, **sizes):
        return shape_of(self.out, sizes)

    @property
    def differentiable(self):
        """Positions of the float arguments."""
        kinds = enumerate(self.arguments.values())
        return tuple(place for place, axes in kinds if not axes.endswith("?"))

    def __call__(self, *arrays):
        return self.kernel(*arrays, **self.options)

    def expected(self, arrays):
        wide = [a if a.dtype == bool else np.asarray(a, np.float64) for a in arrays]
        return self.twin(*wide, **self.options)


def shape_of(axes, sizes):
    sizes = SIZES | sizes
    return tuple(sizes[a] if a in sizes else int(a) for a in axes.split())


WEIGHTS = {"query": "T D", "key": "S D"}
ATTEND = WEIGHTS | {"value": "S E"}
BIAS_MASK = {"bias": "T S", "mask": "T S?"}
RELATIVE = {"query": "T D", "table": "R D"}
MIX = {"logits": "K K G C", "kernels": "K K G C"}
SHARED = {"x": "B H W C", "filters": "K K C"}
PER_EXAMPLE = {"x": "B H W C", "filters": "B K K C"}
HEADS = {"query": "N T D", "key": "N S D", "value": "N S E"}
SQUARE = {"query": "6 D", "key": "6 D", "value": "6 E"}  # of a map of 2 x 3
LINE = {"query": "T D", "key": "T D", "value": "T E", "query_table": "R D"}
LINE |= {"key_table": "R D", "value_table": "R E"}
CHANNEL_WEIGHTS = {"query": "S D", "key": "S E", "temperature": ""}
CHANNELS = {"query": "S D", "key": "S E", "value": "S E", "temperature": ""}
DISTANCES = np.array([[0, 1, 4], [1, 0, 3], [4, 3, 0]], np.int32)


def wave(rows, columns, length):
    """A bias that tells rows from columns."""
    return jnp.sin(0.7 * rows + 1.3 * columns + length)


def halves(data, head, rows, columns):
    """Factors on the weights, as dropout's, other ones for each head."""
    return data * ((rows + 2 * columns + head) % 3)


def by_distance(table, rows, columns, length):
    """A learned number for each distance."""
    return table[jnp.abs(rows - columns)]


def attend_blocked_by_a_table(query, key, value, table, **options):
    return kernels.attend_blocked(
        query, key, value, by_distance, bias_data=table, **options
    )


# The first word of a row's name is the kernel's.
KERNELS = {
    "attention_weights": Row(
        kernels.attention_weights, reference.attention_weights, WEIGHTS, "T S"
    ),
    "attention_weights with bias and mask": Row(
        kernels.attention_weights,
        reference.attention_weights,
        WEIGHTS | BIAS_MASK,
        "T S",
        options={"scale": 0.7},
    ),
    "attend": Row(kernels.attend, reference.attend, ATTEND, "T E"),
    "attend with bias and mask": Row(
        kernels.attend,
        reference.attend,
        ATTEND | BIAS_MASK,
        "T E",
        options={"scale": 0.7},
    ),
    "attend_blocked": Row(
        kernels.attend_blocked,
        reference.attend_blocked,
        HEADS,
        "N T E",
        options={"bias_of": wave, "length": 2048, "block": 2},  # no key is hidden
    ),
    "attend_blocked with hidden keys and factors": Row(
        kernels.attend_blocked,
        reference.attend_blocked,
        HEADS,
        "N T E",
        options={
            "bias_of": wave,
            "length": 4,
            "block": 3,
            "scale": 0.7,
            "factor_of": halves,
            "factor_data": 0.5,
        },  # fmt: skip
    ),
    "attend_blocked with a learned bias": Row(
        attend_blocked_by_a_table,
        reference.attend_blocked_by_a_table,
        HEADS | {"table": "7"},
        "N T E",
        options={"length": 5, "block": 2},
    ),
    "content_attention": Row(
        kernels.content_attention, reference.content_attention, ATTEND, "T E"
    ),
    "content_weights": Row(
        kernels.content_weights, reference.content_weights, WEIGHTS, "T S"
    ),
    "relative_attention": Row(
        kernels.relative_attention,
        reference.relative_attention,
        {"query": "T D", "value": "T E", "table": "R D"},
        "T E",
    ),
    "axial_attention": Row(
        kernels.axial_attention,
        reference.axial_attention,
        {"query": "L T D", "value": "L T E", "table": "R D"},
        "L T E",
    ),
    "axial_attention in parts": Row(
        kernels.axial_attention,
        reference.axial_attention,
        {"query": "L T D", "value": "L T E", "table": "R D"},
        "L T E",
        options={"tile_bytes": 250},  # parts of three lines, the last one filled up
    ),
    "relative_weights": Row(
        kernels.relative_weights,
        reference.relative_weights,
        RELATIVE,
        "T T",
        out_dtype="float32",
    ),
    "position_sensitive_attention": Row(
        kernels.position_sensitive_attention,
        reference.position_sensitive_attention,
        LINE,
        "T E",
    ),
    "position_sensitive_attention scaled": Row(
        kernels.position_sensitive_attention,
        reference.position_sensitive_attention,
        LINE | {"query_table": "3 D", "key_table": "3 D", "value_table": "3 E"},
        "T E",
        options={"scale": 0.7},  # and tables that are a local window
    ),
    "gated_attention": Row(
        kernels.gated_attention,
        reference.gated_attention,
        ATTEND | {"position": "T S", "gate": ""},
        "T E",
        options={"scale": 0.7},
    ),
    "grid_attention": Row(
        kernels.grid_attention,
        reference.grid_attention,
        SQUARE | {"table": "3 5"},
        "6 E",
        options={"shape": (2, 3), "scale": 0.7},
    ),
    "grid_bias of a large map": Row(
        kernels.grid_bias,
        reference.grid_bias,
        {"table": "3 3"},
        "12 12",
        options={"shape": (3, 4)},
    ),
    "lambda_attention": Row(
        kernels.lambda_attention,
        reference.lambda_attention,
        SQUARE | {"table": "3 5 D"},
        "6 E",
        options={"shape": (2, 3)},
    ),
    "lambda_attention of a small table": Row(
        kernels.lambda_attention,
        reference.lambda_attention,
        SQUARE | {"table": "1 3 D"},
        "6 E",
        options={"shape": (3, 2)},
    ),
    "rotary_2d": Row(
        kernels.rotary_2d,
        reference.rotary_2d,
        {"x": "6 8"},
        "6 8",
        options={"shape": (2, 3), "frequency": 100.0},
    ),
    "mix_kernels": Row(kernels.mix_kernels, reference.mix_kernels, MIX, "K K C"),
    "adaptive_average_pool": Row(
        kernels.adaptive_average_pool,
        reference.adaptive_average_pool,
        {"x": "H W C"},
        "3 3 C",
        options={"size": 3},
    ),
    "adaptive_average_pool of equal bins": Row(
        kernels.adaptive_average_pool,
        reference.adaptive_average_pool,
        {"x": "4 6 C"},
        "2 2 C",
        options={"size": 2},
    ),
    "adaptive_average_pool of a small map": Row(
        kernels.adaptive_average_pool,
        reference.adaptive_average_pool,
        {"x": "3 4 C"},
        "7 7 C",
        options={"size": 7},
    ),
    "resize_bicubic": Row(
        kernels.resize_bicubic,
        reference.resize_bicubic,
        {"array": "T S"},
        "9 4",
        options={"shape": (9, 4)},
    ),
    "resize_bicubic of three axes": Row(
        kernels.resize_bicubic,
        reference.resize_bicubic,
        {"array": "2 T S"},
        "2 3 8",
        options={"shape": (2, 3, 8)},
    ),
    "depthwise_conv": Row(
        kernels.depthwise_conv, reference.depthwise_conv, SHARED, "B H W C"
    ),
    "depthwise_conv by example": Row(
        kernels.depthwise_conv, reference.depthwise_conv, PER_EXAMPLE, "B H W C"
    ),
    "depthwise_conv strided": Row(
        kernels.depthwise_conv,
        reference.depthwise_conv,
        SHARED,
        "B 3 3 C",
        options={"stride": 2},
    ),
    "depthwise_conv by example, strided": Row(
        kernels.depthwise_conv,
        reference.depthwise_conv,
        PER_EXAMPLE,
        "B 4 4 C",
        options={"stride": 2, "padding": 2},
    ),
    "channel_weights": Row(
        kernels.channel_weights, reference.channel_weights, CHANNEL_WEIGHTS, "D E"
    ),
    "channel_weights with a mask": Row(
        kernels.channel_weights,
        reference.channel_weights,
        CHANNEL_WEIGHTS | {"mask": "S?"},
        "D E",
    ),
    "channel_attention": Row(
        kernels.channel_attention, reference.channel_attention, CHANNELS, "S D"
    ),
    "channel_attention with a mask": Row(
        kernels.channel_attention,
        reference.channel_attention,
        CHANNELS | {"mask": "S?"},
        "S D",
    ),
    "geodesic_bias": Row(
        kernels.geodesic_bias,
        reference.geodesic_bias,
        {"table": "6"},
        "3 3",
        options={"distances": DISTANCES},
    ),
    "temporal_conv": Row(
        kernels.temporal_conv,
        reference.temporal_conv,
        {"x": "T C", "filters": "7 C"},  # longer than the sequence
        "T C",
    ),
    "temporal_conv strided": Row(
        kernels.temporal_conv,
        reference.temporal_conv,
        {"x": "5 C", "filters": "K C"},
        "3 C",
        options={"stride": 2},
    ),
    "temporal_conv of an even size, strided": Row(
        kernels.temporal_conv,
        reference.temporal_conv,
        {"x": "8 C", "filters": "4 C"},
        "3 C",
        options={"stride": 3},
    ),
    "gelu": Row(kernels.gelu, reference.gelu, {"x": "T D"}, "T D"),
    "split_segments": Row(
        kernels.split_segments,
        reference.split_segments,
        {"x": "7 C"},
        "3 3 C",
        options={"length": 7, "num_segments": 3},
    ),
    "join_segments": Row(
        kernels.join_segments,
        reference.join_segments,
        {"segments": "3 3 C"},
        "7 C",
        options={"length": 7, "num_steps": 7},
    ),
}
# Functions of indices and lengths, in positions_test.py; their table.
NO_ROWS = {"absolute_bias", "alibi_bias", "no_bias", "relative_bias"}
NO_ROWS |= {"POSITION_BIASES", "POSITION_ENCODINGS"}


def cast(arrays, dtype):
    return tuple(a if a.dtype == bool else jnp.asarray(a, dtype) for a in arrays)
