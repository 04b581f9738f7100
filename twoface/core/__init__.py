"""A photo and a hole in, a filled photo out: no PyTorch, no HTTP."""
