"""Neural networks with every gradient written out by hand, in NumPy alone."""
