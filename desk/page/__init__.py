"""Plain values in; what a visitor sees out: components with scripts of their own, and the look."""
