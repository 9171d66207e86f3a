"""The players: proposer and solver actors, whose lanes keep the engines busy and the sandbox beside them."""
