"""Training of the embedded model: rendered scenes in, its weights out. Nothing here is needed to run it."""
