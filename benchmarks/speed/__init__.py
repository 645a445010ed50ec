"""Programs of this project in, their time and memory out."""
