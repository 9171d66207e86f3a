"""How the guest is built (`make guest`): needed by nobody who runs azr."""
