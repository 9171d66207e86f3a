"""The guest, called directly on values that tests make and through the process back end on hostile texts."""
