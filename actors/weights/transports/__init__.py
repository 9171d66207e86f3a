"""How weights travel: one file a transport, with its sending and its receiving side."""
