"""`twoface serve`: tensors and photos over HTTP and gRPC."""
