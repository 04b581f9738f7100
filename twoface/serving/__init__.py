"""What both servers stand on: connections, limits, keys, processes."""
