"""Attempts to break the five scripts: bad inputs, kills, a full disk, two processes on one folder."""
