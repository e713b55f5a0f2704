"""What `split_test.py` runs with eight pretended devices: what is long is split."""

import re
import sys

import jax
import numpy as np

from gpsattn_jax.models import gpsnet, gsanet, pglsum, transxnet
from gpsattn_jax.training import Machine
from gpsattn_jax.training.losses import cross_entropy, summed_squares
from gpsattn_jax.training.sharding import place

DRAW = np.random.default_rng(0)
# The last is a video that is not there.
LENGTHS = np.array([64, 60, 33, 32, 31, 2, 1, 0], np.int32)


def numbers(*shape):
    return DRAW.normal(size=shape).astype(np.float32)


def labelled(**inputs):
    return {"inputs": inputs, "targets": {"label": DRAW.integers(0, 3, 8)}}


def videos():
    """Dropout draws the same on any mesh; segments follow each video's own length."""
    config = pglsum.Config(input_size=16, num_heads=4, local_heads=2, dropout=0.3)
    inputs = {"features": numbers(8, 64, 16), "length": LENGTHS}
    inputs["features"][1, 60:] = np.nan  # nobody sees padding
    targets = {"score": DRAW.uniform(size=(8, 64)).astype(np.float32)}
    targets["length"] = LENGTHS
    batch = {"inputs": inputs, "targets": targets}
    return pglsum.build(config), batch, summed_squares()


def images():
    config = gsanet.Config(
        layers=(1, 1), widths=(8, 16), expansion=2, mixers=("gsa",) * 2, num_heads=4,
        image_size=16, stem="small", in_channels=1, num_classes=3, balanced=False,
    )  # fmt: skip
    batch = labelled(images=numbers(8, 16, 16, 1))
    return gsanet.build(config), batch, cross_entropy()


def pictures():
    config = transxnet.Config(
        depths=(2,), widths=(16,), num_heads=(2,), num_groups=(2,), kernel_sizes=(3,),
        reductions=(2,), mlp_ratios=(1,), remat=(False,), image_size=16, num_classes=3,
        layer_scale=None,
    )  # fmt: skip
    batch = labelled(images=numbers(8, 16, 16, 3))
    return transxnet.build(config), batch, cross_entropy()


def clips():
    """Persons of all clips are split over all devices."""
    edges = ((0, 1), (1, 2), (1, 3))
    config = gpsnet.Config(
        num_joints=4, edges=edges, widths=(8, 16), strides=(1, 2), num_heads=2,
        num_classes=3,
    )  # fmt: skip
    joints = numbers(8, 2, 6, 4, config.in_channels)
    mask = DRAW.uniform(size=joints.shape[:-1]) > 0.2
    return gpsnet.build(config), labelled(joints=joints, mask=mask), cross_entropy()


# (meshes, whether no device may gather anything, the largest difference). In float32
# gradients that are zero but for rounding differ by much: of a sum before a batch norm,
# and of one on all keys of a softmax. In float64 they are zero on any mesh.
SYSTEMS = {
    "pglsum": (
        videos, ("data:2,seq:4", "data:1,seq:8", "data:2,seq:2,model:2"), True, 1e-5,
    ),
    "gsanet": (images, ("data:2,seq:4",), True, 1e-5),
    "transxnet": (pictures, ("data:4,model:2", "data:4,seq:2"), False, 1e-9),
    "gpsnet": (clips, ("data:4,seq:2",), True, 1e-9),
}  # fmt: skip


def compare(name):
    """Outputs, statistics and gradients of training, and outputs of evaluation."""
    make, meshes, nothing_gathered, bound = SYSTEMS[name]
    network, batch, loss = make()
    params, state = network.init(jax.random.key(0))
    if bound < 1e-5:
        jax.config.update("jax_enable_x64", True)
        params, state, batch = (
            jax.tree.map(
                lambda x: np.asarray(x, float) if x.dtype == np.float32 else x, tree
            )
            for tree in (params, state, batch)
        )

    def objective(params, state, batch, key):
        outputs, new = network.apply(
            params, state, **batch["inputs"], train=True, rng=key
        )
        return loss(outputs, batch["targets"])[0], (outputs, new)

    def work(params, state, batch, key):
        grads, found = jax.grad(objective, has_aux=True)(params, state, batch, key)
        evaluated, _ = network.apply(params, state, **batch["inputs"])
        return {"found": found, "evaluated": evaluated, "grads": grads}

    key = jax.random.key(1)
    plain = jax.device_get(jax.jit(work)(params, state, batch, key))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(plain))
    for mesh in meshes:
        placement = place(Machine(mesh=mesh))
        split = [
            jax.device_put(tree, placement.shardings(tree)) for tree in (params, state)
        ]
        arguments = (*split, placement.put(batch), key)
        compiled = placement.on_mesh(lambda *a: jax.jit(work).lower(*a).compile())(
            *arguments
        )
        worst = largest_difference(jax.device_get(compiled(*arguments)), plain)
        assert worst[0] < bound, (name, mesh, worst)
        if "model" in mesh:
            kernel = next(
                leaf
                for path, leaf in jax.tree.leaves_with_path(split[0])
                if re.search(r"query.*kernel", jax.tree_util.keystr(path))
            )
            assert not kernel.sharding.is_fully_replicated
        if nothing_gathered:
            assert "all-gather" not in compiled.as_text(), mesh
        print(f"{name} {mesh} agrees")


def largest_difference(found, wanted):
    """(In shares of an array's largest value, its path)."""

    def one(path, a, b):
        share = np.abs(a - b).max() / max(np.abs(b).max(), 1e-6)
        return float(share), jax.tree_util.keystr(path)

    leaves = jax.tree.leaves_with_path(found)
    pairs = zip(leaves, jax.tree.leaves(wanted), strict=True)
    return max(one(path, a, b) for (path, a), b in pairs)


if __name__ == "__main__":
    compare(sys.argv[1])
