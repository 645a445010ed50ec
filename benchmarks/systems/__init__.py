"""A storyboard in, a video out: what is compared."""
