"""Makes the files of `twoface/weights` that are no trained network of ours, and what they measure."""
