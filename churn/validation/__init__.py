"""Rules that raw tables have to keep, what looks suspicious in them, and the verdict in words."""
