"""Black Forest Labs' dialect: tasks asked for at an address of their own, statuses with spaces, signed webhooks."""
