"""Imported by control_flow.py: allocates in its body."""

bytearray(10)
BLOCK = bytearray(4000)  # ALLOC module_body bytes=size count=2 live=size live_count=2
