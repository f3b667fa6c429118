"""What a message's metadata means on each kind of broker: one module per format."""
