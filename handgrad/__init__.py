"""What both sides share, and how they are compared."""
