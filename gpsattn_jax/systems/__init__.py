"""One front door per system: its whole journey on one page."""
