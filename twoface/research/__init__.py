"""How the networks come about: data, training, evaluation. The only room with PyTorch."""
