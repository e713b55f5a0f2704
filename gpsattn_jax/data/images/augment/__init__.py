"""Augmentations of images: pure functions of (images, key), and their recipe."""
