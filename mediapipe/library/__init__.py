"""The prompt library: what an account should hold, what it holds, and how the one becomes the other."""
