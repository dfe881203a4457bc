"""Where a campaign works: in memory, if there is a place for that; to flush its files to a disk takes hours."""

from __future__ import annotations

import os

IN_MEMORY = "/dev/shm"
PLACE = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
"""A folder for temporary ones; None for the usual one."""
