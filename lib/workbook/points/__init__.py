"""Restore points of the warehouse: snapshots of its tables as a good night left them, and the way back to one."""
