"""How good fills are: figures, baselines, people's ratings."""
