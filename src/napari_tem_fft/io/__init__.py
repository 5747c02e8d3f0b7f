"""Files to core dataclasses and back."""
