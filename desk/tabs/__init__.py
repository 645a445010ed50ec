"""The studio and what a visitor writes in; the tabs of the page out."""
