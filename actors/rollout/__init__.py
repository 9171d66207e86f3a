"""Engines under Ray Serve, and those who ask them.

deployment.py        how replicas are started, scaled and stopped
scaling.py           how many there should be
replica.py           one replica: an engine, kept alive, following the registry's orders
asking_registry.py   how it asks the registry, and learns that the run is gone
intake.py            how weights get into its engine
server.py            where it answers requests
wire.py              what goes over the connection
client.py            RolloutClient: the least busy replica, another when it dies
errors.py            how asking for a generation fails
"""
