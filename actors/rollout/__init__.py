"""Engines under Ray Serve, and those who ask them.

deployment.py   how replicas are started, scaled and stopped
replica.py      one replica: an engine, kept alive, following the registry's orders
server.py       where a replica answers requests
wire.py         what goes over the connection
client.py       RolloutClient: the least busy replica, another when it dies
"""
