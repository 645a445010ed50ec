"""What a visitor writes in; a storyboard, or a sentence that says why not, out."""
