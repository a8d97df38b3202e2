"""Drafts a params file from data: looks at files and databases, guesses what it can, and says what it guessed."""
