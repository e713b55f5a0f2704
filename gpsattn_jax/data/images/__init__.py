"""Images: sets by name, folders, files; decoded, cropped, cached."""
