"""Pictures: curves, tables of colour, attention over images (needs matplotlib)."""
