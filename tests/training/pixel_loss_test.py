"""The loss of masks: pixels that do not count have no part in it."""

import jax
import jax.numpy as jnp
import numpy as np

from gpsattn_jax.training.losses import pixel_cross_entropy


def test_it_is_the_mean_over_the_pixels_that_count():
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(2, 3, 4, 5)).astype(np.float32)
    mask = draw.choice([0, 1, 4, 255], (2, 3, 4)).astype(np.uint8)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    places = np.argwhere(mask != 255)
    wanted = -np.mean([logs[*place, mask[*place]] for place in places])
    right = np.mean([logits[*place].argmax() == mask[*place] for place in places])
    value, metrics = pixel_cross_entropy()(jnp.asarray(logits), {"mask": mask})
    np.testing.assert_allclose([value, metrics["accuracy"]], [wanted, right], rtol=1e-5)


def test_ignored_pixels_have_no_gradient_and_alone_no_loss():
    logits, loss = jnp.ones((1, 2, 2, 3)), pixel_cross_entropy(0.1)
    mask = jnp.array([[[0, 255], [1, 255]]], jnp.uint8)
    gradient = jax.grad(lambda logits: loss(logits, {"mask": mask})[0])(logits)
    assert (gradient[0, :, 1] == 0).all() and (gradient[0, :, 0] != 0).any()
    nothing = {"mask": jnp.full((1, 2, 2), 255, jnp.uint8)}
    value, gradient = jax.value_and_grad(lambda x: loss(x, nothing)[0])(logits)
    assert value == 0 and (gradient == 0).all()
