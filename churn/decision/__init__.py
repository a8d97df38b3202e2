"""What follows the choice of a model: whom to contact and why, whom it serves badly,
its card, its promotion.
"""
