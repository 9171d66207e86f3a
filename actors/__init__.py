"""Rollouts: vLLM replicas under Ray Serve, proposers, solvers and the services that host buffers and experience."""
