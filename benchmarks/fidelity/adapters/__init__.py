"""How each implementation is driven, one file each."""
