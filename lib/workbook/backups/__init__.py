"""Cloud SQL's own backups: one before each phase that writes to the target, and the commands that lead back to it."""
