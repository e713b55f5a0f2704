"""Slow twins of the kernels: NumPy, loops, written from the papers and nothing else."""

import math

import numpy as np


def attention_weights(query, key, bias=None, mask=None, *, scale=None):
    """softmax_s(scale * query_t . key_s + bias_ts); zero where the mask is False."""
    weights = np.zeros((len(query), len(key)))
    scale = 1 / math.sqrt(query.shape[1]) if scale is None else scale
    for t in range(len(query)):
        seen = [s for s in range(len(key)) if mask is None or mask[t, s]]
        logits = {}
        for s in seen:
            logits[s] = scale * dot(query[t], key[s])
            logits[s] += 0.0 if bias is None else bias[t, s]
        largest = max(logits.values(), default=0.0)
        total = sum(math.exp(logit - largest) for logit in logits.values())
        for s in seen:
            weights[t, s] = math.exp(logits[s] - largest) / total
    return weights


def attend(query, key, value, bias=None, mask=None, *, scale=None):
    """out_t = sum_s weight_ts value_s."""
    return gather(attention_weights(query, key, bias, mask, scale=scale), value)


def attend_blocked(
    query, key, value, bias_of, length, *, block=None, scale=None, factor_of=None,
    factor_data=None,
):  # fmt: skip
    """Head after head, the bias spelled out; the size of blocks changes nothing."""
    heads = []
    for head in range(len(query)):
        shape = (len(query[head]), len(key[head]))
        bias, factors, mask = np.zeros(shape), np.ones(shape), np.zeros(shape, bool)
        for t, s in np.ndindex(shape):
            place = np.full((1, 1), t), np.full((1, 1), s)
            bias[t, s] = np.asarray(bias_of(*place, length)).item()
            mask[t, s] = s < length
            if factor_of is not None:
                factors[t, s] = factor_of(factor_data, head, *place).item()
        weights = attention_weights(query[head], key[head], bias, mask, scale=scale)
        heads.append(gather(weights * factors, value[head]))
    return np.stack(heads)


def attend_blocked_by_a_table(query, key, value, table, **options):
    """A number of the table for each distance."""

    def bias_of(rows, columns, length):
        return table[np.abs(rows - columns)]

    return attend_blocked(query, key, value, bias_of, **options)


def absolute_bias(row, column, length, *, frequency, channels):
    """One entry: the sine or cosine of row / frequency^(2k / channels)."""
    k = column // 2
    if k >= length // 2:
        return 0.0
    try:
        angle = row / frequency ** (2 * k / channels)
    except OverflowError:
        angle = 0.0
    return math.cos(angle) if column % 2 else math.sin(angle)


def relative_bias(row, column, length, *, frequency, channels=None):
    """One entry: of (column - row + T - 1) / frequency^((row + column) / (2 T))."""
    if column // 2 >= length // 2:
        return 0.0
    angle = (column - row + length - 1) / frequency ** ((row + column) / (2 * length))
    return math.cos(angle) if column % 2 else math.sin(angle)


def no_bias(row, column, length, *, frequency=None, channels=None):
    return 0.0


def segment_lengths(length, num_segments):
    """Steps of each: ceil(length / M) as long as there are any."""
    size = math.ceil(length / num_segments)
    starts = [min(m * size, length) for m in range(num_segments)]
    return [min(start + size, length) - start for start in starts]


def split_segments(x, length, num_segments):
    """Step after step into its segment; beyond a segment's own length, zeros."""
    size = math.ceil(length / num_segments)
    out = np.zeros((num_segments, math.ceil(len(x) / num_segments), x.shape[1]))
    for t in range(length):
        out[t // size, t % size] = x[t]
    return out


def join_segments(segments, length, num_steps):
    """Step after step out of its segment; from `length` on, zeros."""
    out = np.zeros((num_steps, segments.shape[2]))
    for t in range(length):
        size = math.ceil(length / len(segments))
        out[t] = segments[t // size, t % size]
    return out


def content_weights(query, key):
    """weight_ts = sum_d query_td rho(key)_sd, where rho(key)_.d sums to one over s."""
    spread = np.zeros(key.shape)
    for d in range(key.shape[1]):
        largest = max(key[:, d])
        total = sum(math.exp(key[s, d] - largest) for s in range(len(key)))
        for s in range(len(key)):
            spread[s, d] = math.exp(key[s, d] - largest) / total
    weights = np.zeros((len(query), len(key)))
    for t in range(len(query)):
        for s in range(len(key)):
            weights[t, s] = dot(query[t], spread[s])
    return weights


def content_attention(query, key, value):
    """out_t = sum_s weight_ts value_s, by the matrix that the kernel avoids."""
    return gather(content_weights(query, key), value)


def relative_weights(query, table):
    """weight_ts = query_t . table[s - t], zero where the table has no such distance."""
    length, reach = len(query), len(table) // 2
    weights = np.zeros((length, length))
    for t in range(length):
        for s in range(length):
            if abs(s - t) <= reach:
                weights[t, s] = dot(query[t], table[reach + s - t])
    return weights


def relative_attention(query, value, table):
    """out_t = sum_s weight_ts value_s."""
    return gather(relative_weights(query, table), value)


def axial_attention(query, value, table, *, tile_bytes=None):
    """One line after the other; how many fit into the memory changes nothing."""
    lines = zip(query, value, strict=True)
    return np.stack([relative_attention(*line, table) for line in lines])


def down_columns(query, value, table):
    """The column stage: f_ab = sum_i (query_ab . table[i - a]) value_ib."""
    out = np.zeros(value.shape)
    for a in range(query.shape[0]):
        for b in range(query.shape[1]):
            for i in range(query.shape[0]):
                out[a, b] += distance_weight(query[a, b], table, i - a) * value[i, b]
    return out


def along_rows(query, value, table):
    """The row stage: g_ab = sum_j (query_ab . table[j - b]) value_aj."""
    out = np.zeros(value.shape)
    for a in range(query.shape[0]):
        for b in range(query.shape[1]):
            for j in range(query.shape[1]):
                out[a, b] += distance_weight(query[a, b], table, j - b) * value[a, j]
    return out


def axial(query, value, column_table, row_table):
    """Both stages, [H, W, D] and [H, W, E] -> [H, W, E], without the norm between."""
    return along_rows(query, down_columns(query, value, column_table), row_table)


def mix_kernels(logits, kernels):
    """W_ijc = sum_g gate_ijgc kernel_ijgc, where the gates sum to one over g."""
    size, _, groups, channels = kernels.shape
    mixed = np.zeros((size, size, channels))
    for i in range(size):
        for j in range(size):
            for c in range(channels):
                largest = max(logits[i, j, :, c])
                gates = [math.exp(logits[i, j, g, c] - largest) for g in range(groups)]
                mixed[i, j, c] = dot(gates, kernels[i, j, :, c]) / sum(gates)
    return mixed


def adaptive_average_pool(x, *, size):
    """Bin i takes the rows from floor(i H / size) to ceil((i + 1) H / size)."""
    height, width, channels = x.shape
    out = np.zeros((size, size, channels))
    for i in range(size):
        rows = range(i * height // size, math.ceil((i + 1) * height / size))
        for j in range(size):
            columns = range(j * width // size, math.ceil((j + 1) * width / size))
            inside = [x[a, b] for a in rows for b in columns]
            out[i, j] = sum(inside) / len(inside)
    return out


def resize_bicubic(array, *, shape):
    """Keys' cubic convolution, a = -0.75, one axis after the other."""
    for axis, size in enumerate(shape):
        lines = np.moveaxis(array, axis, 0)
        resized = np.zeros((size, *lines.shape[1:]))
        for place in range(size):
            centre = (place + 0.5) * len(lines) / size - 0.5
            for tap in range(math.floor(centre) - 1, math.floor(centre) + 3):
                source = lines[min(max(tap, 0), len(lines) - 1)]
                resized[place] += cubic(abs(centre - tap)) * source
        array = np.moveaxis(resized, 0, axis)
    return array


def cubic(d, a=-0.75):
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def depthwise_conv(x, filters, *, stride=1, padding=None):
    """out_bhwc = sum_ij x_b(h stride + i - padding)(w stride + j - padding)c f_ijc."""
    size = filters.shape[-2]
    padding = size // 2 if padding is None else padding
    batch, height, width, channels = x.shape
    rows, columns = ((n + 2 * padding - size) // stride + 1 for n in (height, width))
    out = np.zeros((batch, rows, columns, channels))
    for b, h, w, i, j in np.ndindex(batch, rows, columns, size, size):
        row, column = h * stride + i - padding, w * stride + j - padding
        if 0 <= row < height and 0 <= column < width:
            own = filters if filters.ndim == 3 else filters[b]
            out[b, h, w] += x[b, row, column] * own[i, j]
    return out


def channel_weights(query, key, temperature, mask=None):
    """softmax_e(temperature * cos(query_.d, key_.e)), over the places that are seen."""
    seen = [t for t in range(len(query)) if mask is None or mask[t]]
    weights = np.zeros((query.shape[1], key.shape[1]))
    for d in range(query.shape[1]):
        logits = []
        for e in range(key.shape[1]):
            lengths = [
                max(math.sqrt(sum(x[t, c] ** 2 for t in seen)), 1e-6)
                for x, c in ((query, d), (key, e))
            ]
            product = sum(query[t, d] * key[t, e] for t in seen)
            logits.append(float(temperature) * product / (lengths[0] * lengths[1]))
        powers = [math.exp(logit - max(logits)) for logit in logits]
        weights[d] = np.array(powers) / sum(powers)
    return weights


def channel_attention(query, key, value, temperature, mask=None):
    """out_td = sum_e weight_de value_te; zero where the mask is False."""
    weights = channel_weights(query, key, temperature, mask)
    out = np.zeros(query.shape)
    for t in range(len(query)):
        if mask is None or mask[t]:
            for d in range(query.shape[1]):
                out[t, d] = dot(weights[d], value[t])
    return out


def geodesic_bias(table, distances):
    """Entry after entry."""
    bias = np.zeros(distances.shape)
    for u, v in np.ndindex(distances.shape):
        bias[u, v] = table[distances[u, v]]
    return bias


def temporal_conv(x, filters, *, stride=1):
    """out_tc = sum_k x_(t stride + k - K // 2)c filter_kc, of the frames there are."""
    size = len(filters)
    steps = (len(x) + 2 * (size // 2) - size) // stride + 1
    out = np.zeros((steps, x.shape[1]))
    for t, k, c in np.ndindex(steps, size, x.shape[1]):
        frame = t * stride + k - size // 2
        if 0 <= frame < len(x):
            out[t, c] += x[frame, c] * filters[k, c]
    return out


def gelu(x):
    """x times the probability that a normal variable is below x."""
    normal = [0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x.ravel()]
    return x * np.reshape(normal, x.shape)


def distance_weight(query, table, distance):
    reach = len(table) // 2
    return dot(query, table[reach + distance]) if abs(distance) <= reach else 0.0


def gather(weights, value):
    out = np.zeros((len(weights), value.shape[1]))
    for t in range(len(weights)):
        for s in range(len(value)):
            out[t] += weights[t, s] * value[s]
    return out


def dot(left, right):
    return sum(float(a) * float(b) for a, b in zip(left, right, strict=True))


def offset_row(table, height, width, t, s):
    """The row of a table [Rh, Rw, …] for the offset from pixel t to s; 0 outside."""
    down, right = s // width - t // width, s % width - t % width
    i, j = down + table.shape[0] // 2, right + table.shape[1] // 2
    if 0 <= i < table.shape[0] and 0 <= j < table.shape[1]:
        return table[i, j]
    return np.zeros(table.shape[2:])


def grid_bias(table, *, shape):
    """One number for each pair of pixels."""
    pixels = shape[0] * shape[1]
    out = np.zeros((pixels, pixels))
    for t, s in np.ndindex(out.shape):
        out[t, s] = offset_row(table, *shape, t, s)
    return out


def grid_attention(query, key, value, table, *, shape, scale=None):
    """softmax_s(scale * query_t . key_s + table[s - t]), then a weighted sum."""
    return attend(query, key, value, grid_bias(table, shape=shape), scale=scale)


def gated_attention(query, key, value, position, gate, *, scale=None):
    """Content's and position's weights, mixed by a sigmoid."""
    share = 1 / (1 + math.exp(-gate))
    contents = attention_weights(query, key, scale=scale)
    nothing = np.zeros((len(query), 1)), np.zeros((len(key), 1))
    places = attention_weights(*nothing, position)
    return gather((1 - share) * contents + share * places, value)


def lambda_attention(query, key, value, table, *, shape):
    """For each place a matrix of its own, spelled out, then applied to its query."""
    spread, out = np.zeros(key.shape), np.zeros((len(query), value.shape[1]))
    for d in range(key.shape[1]):
        numbers = [math.exp(number - max(key[:, d])) for number in key[:, d]]
        spread[:, d] = np.array(numbers) / sum(numbers)
    for t in range(len(query)):
        function = np.zeros((key.shape[1], value.shape[1]))
        for s in range(len(key)):
            row = spread[s] + offset_row(table, *shape, t, s)
            function += np.outer(row, value[s])
        out[t] = [dot(query[t], column) for column in function.T]
    return out


def position_sensitive_attention(
    query, key, value, query_table, key_table, value_table, *, scale=1.0
):
    """Every place, every place it sees: three products, then one weighted sum."""
    length, middle = len(query), len(query_table) // 2

    def at(table, distance):
        place = middle + distance
        return table[place] if 0 <= place < len(table) else np.zeros(table.shape[1])

    out = np.zeros((length, value.shape[1]))
    for t in range(length):
        logits = [
            dot(query[t], key[s])
            + dot(query[t], at(query_table, s - t))
            + dot(key[s], at(key_table, s - t))
            for s in range(length)
        ]
        numbers = [math.exp(scale * (logit - max(logits))) for logit in logits]
        for s in range(length):
            out[t] += numbers[s] / sum(numbers) * (value[s] + at(value_table, s - t))
    return out


def rotary_2d(x, *, shape, frequency=10_000.0):
    """Each pair of channels turned as a complex number."""
    half, out = x.shape[1] // 2, np.zeros(x.shape)
    for t in range(len(x)):
        places = t // shape[1], t % shape[1]
        for pair in range(half):
            place, band = places[pair // (half // 2)], pair % (half // 2)
            angle = place * frequency ** (-2 * band / half)
            number = complex(*x[t, 2 * pair : 2 * pair + 2])
            number *= complex(math.cos(angle), math.sin(angle))
            out[t, 2 * pair : 2 * pair + 2] = number.real, number.imag
    return out
