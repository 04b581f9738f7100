"""What Pillow leaves out of the file formats: chunks and segments it drops, samples of 16 bits, what cannot be kept."""
