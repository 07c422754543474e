"""The scarce thing: how much an account may do, decided atomically for all processes and hosts."""
