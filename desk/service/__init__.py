"""The page in; a server with its API for programs out."""
