"""The pool: back ends by name, worker processes, order, bounds, and every way in which a worker can fail."""
