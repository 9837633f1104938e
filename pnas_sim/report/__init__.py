"""What people read: summaries, progress, drawings and pictures of cells."""
