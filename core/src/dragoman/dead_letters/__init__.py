"""Dead letters after they were written: looking at them, and sending them back to where they came from."""
