"""Measures over recordings, pictures and whole sessions."""
