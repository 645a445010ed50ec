"""The embedded default: a puppet theatre with ground truth, and a HoloCine model trained on it."""
