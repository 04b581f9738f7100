"""Find the reference by itself: a searchable collection of the faces in a folder's photos."""
