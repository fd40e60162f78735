"""One file per question of the field."""
