"""What is checked and decided before the first stage starts, and the plan that comes of it."""
