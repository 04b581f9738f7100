"""Pictures to train and measure on."""
