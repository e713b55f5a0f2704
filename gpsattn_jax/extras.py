"""Which extra of the package brings a library that is not installed."""

# By the name that is imported.
EXTRAS = {
    "PIL": "data",
    "grain": "data",
    "h5py": "data",
    "sklearn": "data",
    "tensorflow_datasets": "data",
    "yaml": "data",
    "matplotlib": "plot",
    "av": "video",
}


def explain(error: Exception) -> str:
    """What to install, where an extra would do; else the error's own words."""
    missing = error.name if isinstance(error, ImportError) else None
    name = (missing or "").partition(".")[0]
    if name not in EXTRAS:
        return str(error)
    return f"{name} is not installed: pip install 'gpsattn-jax[{EXTRAS[name]}]'."
