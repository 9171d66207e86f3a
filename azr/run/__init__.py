"""The run itself: everything that `azr train` puts together, and what it leaves in the run's folder."""
