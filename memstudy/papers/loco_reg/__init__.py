"""LOCO-Reg's table."""
