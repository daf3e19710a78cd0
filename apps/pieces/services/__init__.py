"""Writing pieces: uploads, downloads by URL, commitments, what is thrown away."""
