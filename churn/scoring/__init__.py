"""Scores today's customers as the model was trained, and compares the scores with what happened."""
