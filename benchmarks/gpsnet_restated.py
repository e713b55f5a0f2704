"""GPS-Net once more, in NumPy and loops: from the specification, person by person.

Parameters are the network's nested dicts, as NumPy arrays. A person is x [T, V, C] with
seen [T, V]; what comes out at hidden places counts only where a stride joins such a
frame with one that is seen.
"""

import math

import numpy as np

from gpsattn_jax.stacks import unstack


def network(params, stats, config, joints, mask=None, time=None):
    """Joints [B, M, T, V, C] -> logits [B, classes], [maps of a clip's persons]."""
    mask = np.ones(joints.shape[:4], bool) if mask is None else mask
    params = unstack(params)
    logits, maps = [], []
    for clip, (persons, seen) in enumerate(zip(joints, mask, strict=True)):
        when = default_time(seen) if time is None else time[clip]
        found = [
            person(params, stats, config, x, visible, when)
            for x, visible in zip(persons, seen, strict=True)
        ]
        means = [mean for mean, _ in found if mean is not None]
        maps.append([weights for _, weights in found])
        mean = sum(means) / len(means) if means else np.zeros(pooled_size(config))
        logits.append(dense(params["head"], mean))
    return np.stack(logits), maps


def default_time(seen):
    """[M, T, V] -> [T]: 2 t / length - 1, the length up to the last visible frame."""
    frames = [t for t in range(seen.shape[1]) if seen[:, t].any()]
    length = max(frames, default=0) + 1
    return np.array([2 * t / length - 1 for t in range(seen.shape[1])])


def person(params, stats, config, joints, seen, time):
    """[T, V, C] -> the mean [C'] over what is seen, if anything; [maps of a block]."""
    joints = np.where(seen[..., None], joints, 0)
    maps = []
    x = embedding(params["embedding"], stats.get("embedding"), config, joints, seen)
    for number, stride in enumerate(config.strides):
        x, found = block(params["blocks"][number], config, stride, x, seen, time)
        maps.append(found)
        # A convolution carries what is seen between the frames that stay.
        reach = stride if config.temporal_conv else 1
        starts = range(0, len(seen), stride)
        seen = np.stack([seen[t : t + reach].any(0) for t in starts])
        time = time[::stride]
    x = layer_norm(params["norm"], x)
    frames = [x[t][seen[t]] for t in range(len(x)) if seen[t].any()]
    if not frames:
        return None, maps
    pooled = np.concatenate(frames).mean(0)
    if config.pooling == "mean_max":
        most = np.max([frame.mean(0) for frame in frames], 0)
        pooled = np.concatenate([pooled, most])
    return pooled, maps


def pooled_size(config):
    """Channels that the head sees."""
    return config.widths[-1] * (2 if config.pooling == "mean_max" else 1)


def embedding(params, stats, config, joints, seen):
    """The sum of what the positions, motions and distances of a stream become."""
    stream, visible = in_stream(config, joints, seen)
    inputs = [(stream, visible)] if config.positions else []
    inputs += [difference(stream, visible, lag) for lag in config.motions]
    total = 0
    for number, (x, where) in enumerate(inputs):
        norm, running = params["norms"][number], stats["norms"][number]
        flat = x.reshape(len(x), -1) - running["mean"]
        flat = flat / np.sqrt(running["var"] + 1e-5) * norm["scale"] + norm["bias"]
        normal = flat.reshape(x.shape)
        normal = np.where(where[..., None], normal, 0)
        total = total + two_layers(params["layers"][number], normal)
    gaps, both = distances_between(joints, seen)
    inputs = [gaps] if config.distances else []
    for lag in config.distance_motions:
        inputs.append(difference(gaps[..., None], both, lag)[0][..., 0])
    for number, gaps in enumerate(inputs):
        total = total + two_layers(params["distances"][number], gaps)[:, None]
    return total + np.zeros((*seen.shape, 1))


def in_stream(config, joints, seen):
    """Bones: from the parent on the way to the root. Motions: from the frame before."""
    steps = distances_on(config)
    if config.stream in ("bone", "bone_motion"):
        bones, both = np.zeros(joints.shape), np.zeros(seen.shape, bool)
        for v in range(config.num_joints):
            nearer = [
                u
                for u in range(config.num_joints)
                if steps[u][v] == 1 and steps[config.root][u] < steps[config.root][v]
            ]
            parent = nearer[0] if nearer else v
            both[:, v] = seen[:, v] & seen[:, parent]
            bones[:, v] = joints[:, v] - joints[:, parent]
        joints, seen = np.where(both[..., None], bones, 0), both
    if config.stream in ("joint_motion", "bone_motion"):
        joints, seen = difference(joints, seen, 1)
    return joints, seen


def difference(x, seen, lag):
    """From `lag` frames before, where both are seen; zero at the start."""
    out, both = np.zeros(x.shape), np.zeros(seen.shape, bool)
    for t, v in np.ndindex(seen.shape):
        both[t, v] = seen[t, v] and (t < lag or seen[t - lag, v])
        if both[t, v] and t >= lag:
            out[t, v] = x[t, v] - x[t - lag, v]
    return out, both


def distances_between(joints, seen):
    """([T, pairs], boolean [T, pairs]): standardised over what is seen of a clip."""
    count = joints.shape[1]
    pairs = [(u, v) for u in range(count) for v in range(u + 1, count)]
    found = {}
    for t in range(len(joints)):
        for place, (u, v) in enumerate(pairs):
            if seen[t, u] and seen[t, v]:
                found[t, place] = math.dist(joints[t, u], joints[t, v])
    shape = len(joints), len(pairs)
    out, both, values = np.zeros(shape), np.zeros(shape, bool), [*found.values()]
    for place, value in found.items():
        both[place] = True
        out[place] = (value - np.mean(values)) / math.sqrt(np.var(values) + 1e-8)
    return out, both


def block(params, config, stride, x, seen, time):
    """Pre-norm residuals: both attentions, time, the feed-forward net."""
    x = dense(params["widen"], x) if "widen" in params else x
    code = structural_codes(params, config, x.shape[-1])
    waves = sinusoids(time, x.shape[-1]) if config.time_code else None
    start, maps = x, {}
    if config.spatial_attention:
        bias = geodesic_biases(params["spatial"].get("bias"), config)
        shown = layer_norm(params["spatial_norm"], x)
        mixed, maps["spatial"] = spatial_attention(
            params["spatial"], shown, code, seen, config.num_heads, bias,
            share_time=config.share_time,
        )  # fmt: skip
        x = x + mixed
    if config.channel_attention:
        shown = start if config.order == "parallel" else x
        shown = layer_norm(params["channel_norm"], shown)
        mixed, maps["channel"] = channel_attention(
            params["channel"], shown, waves, code, seen, config.num_heads
        )
        x = x + mixed
    convolved = 0
    if config.temporal_conv:
        shown = layer_norm(params["temporal_norm"], x)
        convolved = temporal_conv(params["temporal"], shown, seen, stride)
    x = x[::stride] + convolved
    hidden = dense(params["hidden"], layer_norm(params["hidden_norm"], x))
    normal = np.vectorize(lambda value: 0.5 * (1 + math.erf(value / math.sqrt(2))))
    return x + dense(params["out"], hidden * normal(hidden)), maps


def spatial_attention(params, x, code, seen, heads, bias=None, *, share_time=False):
    """(out [T, V, C], weights [T, N, V, V]); bias [N, V, V]."""
    coded = x if code is None else x + code[None]
    query, key = (dense(params[name], coded) for name in ("query", "key"))
    value = dense(params["value"], x)
    steps, joints, channels = x.shape
    size = channels // heads
    out, weights = np.zeros(x.shape), np.zeros((steps, heads, joints, joints))
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        logits = np.zeros((steps, joints, joints))
        for t, u, v in np.ndindex(logits.shape):
            logits[t, u, v] = query[t, u, part] @ key[t, v, part] / math.sqrt(size)
            if share_time and not (seen[t, u] and seen[t, v]):
                logits[t, u, v] = 0
        shown = seen
        if share_time:
            mean = logits.sum(0) / max(1, seen.any(1).sum())
            logits = np.stack([mean] * steps)
            shown = np.stack([seen.any(0)] * steps)
        for t, u in np.ndindex(steps, joints):
            others = [v for v in range(joints) if shown[t, v]]
            own = [0.0 if bias is None else bias[head, u, v] for v in others]
            found = softmax([logits[t, u, v] for v in others], own)
            for v, weight in zip(others, found, strict=True):
                weights[t, head, u, v] = weight
                if seen[t, v]:
                    out[t, u, part] += weight * value[t, v, part]
    return dense(params["out"], out), weights


def channel_attention(params, x, time, code, seen, heads):
    """(out [T, V, C], weights [N, D, D]): every channel is a map over time and joints.

    time: [T, C], code: [V, C], or None.
    """
    coded = x if time is None else x + time[:, None]
    coded = coded if code is None else coded + code[None]
    query, key = (dense(params[name], coded) for name in ("query", "key"))
    value = dense(params["value"], x)
    size = x.shape[-1] // heads
    out, weights = np.zeros(x.shape), np.zeros((heads, size, size))
    for head in range(heads):
        first = head * size
        for c in range(size):
            logits = []
            for other in range(size):
                one, two = query[..., first + c][seen], key[..., first + other][seen]
                lengths = math.sqrt(one @ one) * math.sqrt(two @ two)
                # Of nothing at all.
                cosine = one @ two / lengths if lengths else 0.0
                logits.append(params["temperature"][head] * cosine)
            weights[head, c] = softmax(logits)
            for other in range(size):
                shown = np.where(seen, value[..., first + other], 0)
                out[..., first + c] += weights[head, c, other] * shown
    return dense(params["out"], out), weights


def temporal_conv(params, x, seen, stride):
    """Each channel with its own filter along time, then all channels: [T', V, C]."""
    size = len(params["kernel"])
    out = np.zeros((math.ceil(len(x) / stride), *x.shape[1:]))
    for t, k, v in np.ndindex(len(out), size, x.shape[1]):
        frame = t * stride + k - size // 2
        if 0 <= frame < len(x) and seen[frame, v]:
            out[t, v] += x[frame, v] * params["kernel"][k]
    return dense(params["point"], out + params["bias"])


def structural_codes(params, config, channels):
    """[V, C]: a row for each joint, the same for joints of the same part."""
    parts = parts_of(config)
    if parts is None:
        return None
    if config.fixed_codes:
        largest = max(1, *parts)
        return sinusoids(np.array([2 * part / largest - 1 for part in parts]), channels)
    return np.stack([params["codes"][part] for part in parts])


def parts_of(config):
    """The part of each joint."""
    steps, joints = distances_on(config), range(config.num_joints)
    if config.partition == "shell":
        return [steps[config.root][v] for v in joints]
    if config.partition == "voronoi":
        from_anchors = [[steps[a][v] for a in config.anchors] for v in joints]
        return [ways.index(min(ways)) for ways in from_anchors]
    return list(joints) if config.partition == "joint" else None


def geodesic_biases(table, config):
    """[N, R] -> [N, V, V], by the distance of two joints along the skeleton."""
    if table is None:
        return None
    steps, joints = distances_on(config), range(config.num_joints)
    return np.array(
        [[[row[steps[u][v]] for v in joints] for u in joints] for row in table]
    )


def distances_on(config):
    """Edges between all joints, by letting ways grow until none gets shorter."""
    joints = range(config.num_joints)
    steps = [[0 if u == v else math.inf for v in joints] for u in joints]
    for one, other in (*config.edges, *(edge[::-1] for edge in config.edges)):
        steps[one][other] = 1
    for middle in joints:
        for u in joints:
            for v in joints:
                steps[u][v] = min(steps[u][v], steps[u][middle] + steps[middle][v])
    return steps


def sinusoids(places, channels):
    """[T] -> [T, C]: wavelengths from 4 to 1/8, first all sines, then all cosines."""
    count = (channels + 1) // 2
    codes = np.zeros((len(places), 2 * count))
    for i in range(count):
        frequency = 0.25 * 32 ** (i / max(1, count - 1))
        codes[:, i] = np.sin(2 * math.pi * frequency * places)
        codes[:, count + i] = np.cos(2 * math.pi * frequency * places)
    return codes[:, :channels]


def two_layers(params, x):
    """Linear, ReLU, linear."""
    return dense(params["out"], np.maximum(dense(params["hidden"], x), 0))


def dense(params, x):
    """A linear layer."""
    return x @ params["kernel"] + params["bias"]


def layer_norm(params, x):
    """Over channels."""
    centred = x - x.mean(-1, keepdims=True)
    var = (centred**2).mean(-1, keepdims=True)
    return centred / np.sqrt(var + 1e-6) * params["scale"] + params["bias"]


def softmax(logits, bias=()):
    """Of a list of numbers, with a bias on each."""
    total = [a + b for a, b in zip(logits, bias, strict=True)] if bias else logits
    powers = [math.exp(logit - max(total)) for logit in total]
    return [power / sum(powers) for power in powers]
