"""Mutations by part of azr, one file each: whatever module here declares `MUTATIONS` takes part."""
